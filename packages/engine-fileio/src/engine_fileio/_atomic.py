"""Local files that a reader finds whole: the old one or the new one, never a part."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine_fileio._paths import StrPath

_PREFIX, _SUFFIX = ".engine-", ".part"


def is_partial(name: str) -> bool:
    """Tell whether ``name`` is the name of a file that ``atomic_write`` is still filling."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


@contextlib.contextmanager
def atomic_write(path: StrPath, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a local file to be written whole or not at all.

    The data goes to a temporary file in the same folder, which takes the name ``path`` when the
    block ends well and is removed when it raises. Missing parent folders are created. A link
    stays a link (its target is replaced), and an existing file keeps its permission bits. What is
    no regular file (a pipe, ``/dev/null``) is written straight.

    Args:
        path: The file to write.
        durable: Flush file and folder to the disk, so that the new file survives a power cut.

    Yields:
        A binary file opened for writing and reading; it can seek.

    Raises:
        IsADirectoryError: ``path`` is a folder.
        PermissionError: ``path`` exists and may not be written.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "weights.bin") as file:
        ...     _ = file.write(b"every byte or none")
        >>> (folder / "weights.bin").read_bytes()
        b'every byte or none'
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as file:
            yield file
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
    # tempfile would make the file private to its owner; this way the umask decides, as for open().
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o666)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            if mode is not None:
                os.chmod(partial, stat.S_IMODE(mode))
            if durable:
                os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
    if durable:
        flush_folder(target.parent)


def flush_folder(folder: Path) -> None:
    """Flush the entries of ``folder`` to disk, so that a rename in it survives a power cut."""
    if os.name == "nt":
        return  # Windows cannot open a folder to flush it; its file system journals renames.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_O_BINARY = getattr(os, "O_BINARY", 0)


def _mode_of(target: Path) -> int | None:
    """Return the mode of an existing file that may be written; None when there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{str(target)!r} is a folder; give the name of a file in it")
    if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(f"{str(target)!r} may not be written; change its permissions")
    return mode
