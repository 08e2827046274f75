"""Download a file; the error names the path to copy the file to instead."""

from pathlib import Path

from torch import hub


def download_file(
    url: str, path: Path, *, hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Download a file to ``path`` atomically.

    Args:
        url: The address.
        path: The file to write. Its folder must exist.
        hash_prefix: The first digits of the SHA-256 that the content must have.
        progress: Whether to show a progress bar on the standard error.

    Raises:
        ConnectionError: The file cannot be downloaded.
        RuntimeError: The content has another hash.
    """
    try:
        # Atomic, because torch writes to a temporary file and renames it.
        hub.download_url_to_file(url, str(path), hash_prefix, progress=progress)
    except OSError as error:
        raise ConnectionError(
            f"cannot download {url}: {error}. Without a network, copy the file to {path}"
        ) from error
