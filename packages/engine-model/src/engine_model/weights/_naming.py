"""Raise an error of the disk with the file's name."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def naming_the_file(path: str) -> Iterator[None]:
    """Raise the error of a full disk with the name of the file, which torch leaves out.

    Args:
        path: The path or address of the file.

    Raises:
        OSError: The error of the disk.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.save raises a RuntimeError of its own while it handles the OSError of the disk.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None or cause.errno is None:
            raise
        raise OSError(cause.errno, cause.strerror, path) from error
