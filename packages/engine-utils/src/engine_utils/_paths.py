"""Check, open, list and link files and folders on the local disk."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, overload

_URI = r"([A-Za-z][A-Za-z0-9+.-]*:)+//"


@overload
def expand_home(path: str) -> str: ...
@overload
def expand_home(path: os.PathLike[str]) -> Path: ...
def expand_home(path: str | os.PathLike[str]) -> str | Path:
    """Return a path with the home folder in place of a leading ``~`` or ``~user``.

    A URI stays as it is, and so does a path whose user does not exist, such as the file
    ``~backup``. Every function, setting and option of Engine that takes a path calls this.

    Example:
        >>> expand_home("~/runs") == f"{Path.home()}/runs", expand_home("s3://bucket/~")
        (True, 's3://bucket/~')
    """
    if isinstance(path, str):
        return os.path.expanduser(path) if path.startswith("~") else path
    # Not Path.expanduser, which raises for a file such as "~backup".
    return Path(os.path.expanduser(path))


def is_filepath(x: object) -> bool:
    """Return whether a value is a path: a string, or a path object such as ``pathlib.Path``."""
    return isinstance(x, str | os.PathLike)


def is_abs(path: str) -> bool:
    """Return whether a path is absolute, on the local disk or as the URI of a storage backend.

    Example:
        >>> is_abs("/data/a.jpg"), is_abs("s3://bucket/a.jpg"), is_abs("data/a.jpg")
        (True, True, False)
    """
    return os.path.isabs(path) or re.match(_URI, path) is not None


def fopen(filepath: str | os.PathLike[str], *args: Any, **kwargs: Any) -> IO[Any]:
    """Open a local file; ``~`` is the home folder. The other arguments are those of ``open``.

    Raises:
        TypeError: ``filepath`` is neither a string nor a path.
    """
    if not is_filepath(filepath):
        raise TypeError(f"filepath must be a string or a path, got {type(filepath).__name__}")
    opened: IO[Any] = open(expand_home(filepath), *args, **kwargs)  # noqa: SIM115 - the caller closes it
    return opened


def check_file_exist(
    filename: str | os.PathLike[str], msg_tmpl: str = 'file "{}" does not exist'
) -> None:
    """Raise an error if a file does not exist; ``~`` is the home folder.

    Args:
        filename: The file.
        msg_tmpl: The message, with a ``{}`` for the file.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not os.path.isfile(expand_home(filename)):
        raise FileNotFoundError(msg_tmpl.format(filename))


def mkdir_or_exist(dir_name: str | os.PathLike[str], mode: int = 0o777) -> None:
    """Create a folder and its parents if they do not exist; ``~`` is the home folder.

    Args:
        dir_name: The folder; an empty string does nothing.
        mode: The permissions of a new folder, reduced by the umask of the process.
    """
    if os.fspath(dir_name):
        os.makedirs(expand_home(dir_name), mode=mode, exist_ok=True)


def symlink(
    src: str | os.PathLike[str], dst: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any
) -> None:
    """Create a symbolic link; ``~`` is the home folder.

    Args:
        src: The target of the link.
        dst: The link.
        overwrite: Replace an existing file or link atomically.
        **kwargs: Passed to ``os.symlink``.

    Raises:
        FileExistsError: ``dst`` exists, and ``overwrite`` is False.
        IsADirectoryError: ``dst`` is a folder.
    """
    src, dst = os.fspath(expand_home(src)), os.fspath(expand_home(dst))
    if not overwrite:
        os.symlink(src, dst, **kwargs)
        return
    # A link cannot be overwritten, but renaming a new one over it is atomic.
    new = f"{dst}.{os.urandom(8).hex()}"
    os.symlink(src, new, **kwargs)
    try:
        os.replace(new, dst)
    except OSError:
        os.unlink(new)
        raise


def scandir(
    dir_path: str | os.PathLike[str],
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    case_sensitive: bool = True,
) -> Iterator[str]:
    """Return an iterator over the files of a folder, as paths relative to it.

    Paths are in alphabetical order: the files of a subfolder come at the position of the
    subfolder's name. Files and folders whose name begins with a dot are skipped.

    Args:
        dir_path: The folder; ``~`` is the home folder.
        suffix: Return only files whose name ends with this, or with one of these.
        recursive: Also list the subfolders.
        case_sensitive: Whether suffixes are compared case-sensitively.

    Raises:
        TypeError: ``dir_path`` or ``suffix`` is of another type.
    """
    if not is_filepath(dir_path):
        raise TypeError(f"dir_path must be a string or a path, got {type(dir_path).__name__}")
    if suffix is not None and not isinstance(suffix, str | tuple):
        raise TypeError(
            f"suffix must be a string or a tuple of strings, got {type(suffix).__name__}"
        )
    paths = _files(os.fspath(expand_home(dir_path)), recursive)
    if suffix is None:
        return paths
    endings = (suffix,) if isinstance(suffix, str) else suffix
    if case_sensitive:
        return (path for path in paths if path.endswith(endings))
    lower = tuple(ending.lower() for ending in endings)
    return (path for path in paths if path.lower().endswith(lower))


def _files(folder: str, recursive: bool, prefix: str = "") -> Iterator[str]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith("."):
            continue
        path = os.path.join(prefix, entry.name)
        if entry.is_file():
            yield path
        # Links to folders are not followed: a link to a parent folder would recurse forever.
        elif recursive and entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, recursive, path)
