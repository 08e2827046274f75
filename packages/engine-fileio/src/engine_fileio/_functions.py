"""The file functions: each calls the method of the same name on the backend of its path.

Every function takes ``backend_args``: the arguments of the backend and, optionally, its name as
``backend``, which has priority over the prefix of the path.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from engine_fileio._paths import PathT, StrPath, shown
from engine_fileio.backends._base import BaseStorageBackend, Suffix
from engine_fileio.backends._registry import get_file_backend, known_prefix
from engine_fileio.backends._transfer import Progress, counted

Arguments = Mapping[str, Any] | None


def get(filepath: StrPath, backend_args: Arguments = None) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return _backend(filepath, backend_args).get(filepath)


def get_text(filepath: StrPath, encoding: str = "utf-8", backend_args: Arguments = None) -> str:
    """Return the content of a file as text."""
    backend = _backend(filepath, backend_args)
    if encoding == "utf-8":
        return backend.get_text(filepath)  # a user's backend may not accept an encoding
    return bytes(backend.get(filepath)).decode(encoding)


def put(obj: bytes | memoryview, filepath: StrPath, backend_args: Arguments = None) -> None:
    """Write bytes to a file, replacing it and creating its folders."""
    _backend(filepath, backend_args).put(obj, filepath)


def put_text(obj: str, filepath: StrPath, backend_args: Arguments = None) -> None:
    """Write text to a file as UTF-8, replacing it and creating its folders."""
    _backend(filepath, backend_args).put_text(obj, filepath)


def exists(filepath: StrPath, backend_args: Arguments = None) -> bool:
    """Return whether there is a file or folder of this name."""
    return _backend(filepath, backend_args).exists(filepath)


def isfile(filepath: StrPath, backend_args: Arguments = None) -> bool:
    """Return whether there is a file of this name."""
    return _backend(filepath, backend_args).isfile(filepath)


def isdir(filepath: StrPath, backend_args: Arguments = None) -> bool:
    """Return whether there is a folder of this name."""
    return _backend(filepath, backend_args).isdir(filepath)


def join_path(filepath: StrPath, *filepaths: StrPath, backend_args: Arguments = None) -> str:
    """Join parts of a path by the rules of its storage."""
    return _backend(filepath, backend_args).join_path(filepath, *filepaths)


@contextlib.contextmanager
def get_local_path(filepath: StrPath, backend_args: Arguments = None) -> Iterator[str]:
    """Yield a local path that holds a file, for libraries that only open local files.

    A local file is yielded as it is. Any other file is downloaded to a temporary folder, under its
    own name. The folder is removed when the block ends.
    """
    with _backend(filepath, backend_args).get_local_path(filepath) as path:
        yield os.fspath(path)  # a user's backend may yield a path object


def copyfile(src: StrPath, dst: PathT, backend_args: Arguments = None) -> PathT | str:
    """Copy a file within one storage.

    Args:
        src: The file to copy.
        dst: File to write, or an existing folder for a file of the same name.
        backend_args: Arguments of the backend.

    Returns:
        The destination file: ``dst`` as it was given, or the file in that folder.

    Raises:
        shutil.SameFileError: ``src`` and ``dst`` are the same file.
        ValueError: ``src`` and ``dst`` have different prefixes.
    """
    return _shared_backend("copyfile", src, dst, backend_args).copyfile(src, dst)


def copytree(
    src: StrPath, dst: PathT, backend_args: Arguments = None, *, progress: Progress | None = None
) -> PathT | str:
    """Copy a folder within one storage, several files at once.

    Args:
        src: The folder to copy.
        dst: The folder to create.
        backend_args: Arguments of the backend.
        progress: Called in the caller's thread with the number of finished files and of all files.

    Returns:
        The destination folder, as it was given.

    Raises:
        FileExistsError: ``dst`` exists.
        ValueError: ``src`` and ``dst`` have different prefixes.
    """
    backend = _shared_backend("copytree", src, dst, backend_args)
    return backend.copytree(src, dst, **_given(progress))


def copyfile_from_local(src: StrPath, dst: PathT, backend_args: Arguments = None) -> PathT | str:
    """Upload a local file and return the destination; ``dst`` may be a folder."""
    return _backend(dst, backend_args).copyfile_from_local(src, dst)


def copytree_from_local(
    src: StrPath, dst: PathT, backend_args: Arguments = None, *, progress: Progress | None = None
) -> PathT | str:
    """Upload a local folder, several files at once, and return ``dst``, which must not exist."""
    return _backend(dst, backend_args).copytree_from_local(src, dst, **_given(progress))


def copyfile_to_local(src: StrPath, dst: PathT, backend_args: Arguments = None) -> PathT | str:
    """Download a file and return the destination; ``dst`` may be a folder."""
    return _backend(src, backend_args).copyfile_to_local(src, dst)


def copytree_to_local(
    src: StrPath, dst: PathT, backend_args: Arguments = None, *, progress: Progress | None = None
) -> PathT | str:
    """Download a folder, several files at once, and return ``dst``."""
    return _backend(src, backend_args).copytree_to_local(src, dst, **_given(progress))


def copy_if_symlink_fails(src: StrPath, dst: StrPath, backend_args: Arguments = None) -> bool:
    """Make ``dst`` a link to ``src``, or a copy where the storage has no links.

    Returns:
        Whether a link was made.
    """
    backend = _shared_backend("copy_if_symlink_fails", src, dst, backend_args)
    return backend.copy_if_symlink_fails(src, dst)


def remove(filepath: StrPath, backend_args: Arguments = None) -> None:
    """Delete a file.

    Raises:
        FileNotFoundError: There is no such file.
        IsADirectoryError: The path is a folder; use ``rmtree``.
    """
    _backend(filepath, backend_args).remove(filepath)


def rmtree(dir_path: StrPath, backend_args: Arguments = None) -> None:
    """Delete a folder and everything in it."""
    _backend(dir_path, backend_args).rmtree(dir_path)


def list_dir_or_file(
    dir_path: StrPath,
    list_dir: bool = True,
    list_file: bool = True,
    suffix: Suffix = None,
    recursive: bool = False,
    backend_args: Arguments = None,
    *,
    progress: Progress | None = None,
) -> Iterator[str]:
    """Iterate over folders and files in ``dir_path``, as paths relative to it.

    Args:
        dir_path: The folder.
        list_dir: Whether to yield folders.
        list_file: Whether to yield files.
        suffix: Yield only files that end with this string, or one of these, and no folders.
        recursive: Whether to descend into folders.
        backend_args: Arguments of the backend.
        progress: Called with the number of entries so far, and None for their unknown total.

    Returns:
        An iterator, in the order of the storage.
    """
    backend = _backend(dir_path, backend_args)
    found = backend.list_dir_or_file(dir_path, list_dir, list_file, suffix, recursive)
    return found if progress is None else counted(found, progress)


def generate_presigned_url(
    url: str,
    client_method: str = "get_object",
    expires_in: int = 3600,
    backend_args: Arguments = None,
) -> str:
    """Return a URL that reads or writes an object without credentials.

    Args:
        url: The URI of the object.
        client_method: ``get_object`` or ``put_object``.
        expires_in: The lifetime of the URL, in seconds.
        backend_args: Arguments of the backend.

    Raises:
        OperationNotSupported: The storage is not an object store.
    """
    backend = _backend(url, backend_args)
    return backend.generate_presigned_url(url, client_method, expires_in)


def _backend(path: StrPath, backend_args: Arguments) -> BaseStorageBackend:
    return get_file_backend(path, backend_args=backend_args, enable_singleton=True)


def _shared_backend(
    operation: str, src: StrPath, dst: StrPath, backend_args: Arguments
) -> BaseStorageBackend:
    if known_prefix(src) != known_prefix(dst) and "backend" not in (backend_args or {}):
        raise ValueError(
            f"src and dst of {operation} must have the same prefix, got {shown(src)!r} and "
            f"{shown(dst)!r}; use copyfile_to_local and copyfile_from_local, or copytree_to_local "
            "and copytree_from_local for folders"
        )
    return _backend(src, backend_args)


def _given(progress: Progress | None) -> dict[str, Progress]:
    """Return ``progress`` as a keyword if it is given; a user's backend may not accept it."""
    return {} if progress is None else {"progress": progress}
