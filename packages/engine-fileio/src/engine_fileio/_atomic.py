"""Write local files atomically: a reader finds the old file or the new one, never a part."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine_fileio._locks import try_lock
from engine_fileio._paths import StrPath, local_path

_WINDOWS = os.name == "nt"
_PREFIX, _SUFFIX = ".engine-", ".part"
_PARTIAL = re.compile(r"\.engine-[0-9a-f]{16}\.part")


def partial_name() -> str:
    """Return a new name for a temporary file; listings skip such names."""
    return f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"


def is_partial(name: str) -> bool:
    """Return whether `partial_name` may have returned ``name``."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


@contextlib.contextmanager
def atomic_write(path: StrPath, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a local file that is written completely or not at all.

    The data goes to a temporary file in the same folder. It is renamed to ``path`` when the block
    ends, and removed when the block raises. Missing parent folders are created. If ``path`` is a
    link, its target is replaced. An existing file keeps its permission bits. A pipe or a device,
    such as ``/dev/null``, is written directly. A leading ``~`` is the home folder.

    Args:
        path: The file to write.
        durable: Whether to flush file and folder to disk, so that the file survives a power cut.

    Yields:
        A binary file, open for writing, reading and seeking.

    Raises:
        IsADirectoryError: ``path`` is a folder.
        PermissionError: ``path`` exists and is not writable.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "weights.bin") as file:
        ...     _ = file.write(b"every byte or none")
        >>> (folder / "weights.bin").read_bytes()
        b'every byte or none'
    """
    # Write to the target of a link: renaming over `path` would replace the link itself.
    target = Path(os.path.realpath(local_path(path)))
    mode = _mode_of(target)
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as file:
            yield file
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, descriptor = _new_partial(target.parent)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            # Before the rename, so that no reader sees the file with other permissions.
            if mode is not None:
                os.chmod(partial, stat.S_IMODE(mode))
            # Flush before the rename: otherwise a power cut may leave an empty file.
            if durable:
                os.fsync(file.fileno())
            if not _WINDOWS:  # while it is open, and so locked
                os.replace(partial, target)
        if _WINDOWS:  # which renames closed files only
            os.replace(partial, target)
    except BaseException:  # BaseException, to remove the temporary file after an interrupt too
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
    if durable:
        flush_folder(target.parent)


def _new_partial(folder: Path) -> tuple[Path, int]:
    """Create a temporary file, locked while this process writes it; return its descriptor, too."""
    while True:
        # In the same folder, because a rename is atomic within one file system only.
        partial = folder / partial_name()
        # Not tempfile, whose files only the owner can read. Here the umask decides, as for open().
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o666)
        # `remove_partials` may have locked and deleted it before this process locked it.
        if try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return partial, descriptor
        os.close(descriptor)


def remove_partials(folder: StrPath) -> int:
    """Delete the temporary files that killed processes have left in a local folder.

    A file that a process writes at this time is locked, and stays. So does every file on a file
    system without locks, where the two cannot be distinguished.

    Args:
        folder: The folder; those in it are not searched.

    Returns:
        The number of deleted files.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / ".engine-0123456789abcdef.part").write_text("half of a chec")
        >>> remove_partials(folder), remove_partials(folder)
        (1, 0)
    """
    return sum(
        _remove_if_left(path) for path in Path(local_path(folder)).glob(f"{_PREFIX}*{_SUFFIX}")
    )


def _remove_if_left(path: Path) -> bool:
    if not _PARTIAL.fullmatch(path.name) or path.is_symlink():
        return False
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
            if not try_lock(descriptor):
                return False
            path.unlink()
        finally:
            os.close(descriptor)
    except (FileNotFoundError, PermissionError):  # renamed since, or of another user
        return False
    return True


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, so that a rename in it survives a power cut."""
    if _WINDOWS:
        return  # Windows cannot open a folder, and its file system journals renames
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_O_BINARY = getattr(os, "O_BINARY", 0)  # without it Windows writes "\r\n" for "\n"


def _mode_of(target: Path) -> int | None:
    """Return the mode of an existing file, checked to be writable; None if there is no file."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{str(target)!r} is a folder; pass the path of a file in it")
    # A rename checks the permissions of the folder only, so it would replace a read-only file.
    if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(f"{str(target)!r} must be writable; change its permissions")
    return mode
