"""Read the local file system, and write it atomically."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from engine_fileio._atomic import atomic_write, is_partial, partial_name
from engine_fileio._paths import PathT, StrPath, local_path
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._keys import Entry
from engine_fileio.backends._transfer import Progress, run_parallel
from engine_utils import expand_home

_CHUNK = 1 << 20


class LocalBackend(BaseStorageBackend):
    """The local file system.

    A write is flushed to a temporary file in the same folder, which is then renamed. A reader finds
    the old file or the new one, never a part. Paths may begin with ``file://`` or ``~``.

    Example:
        >>> import tempfile
        >>> backend, folder = LocalBackend(), tempfile.mkdtemp()
        >>> backend.put_text("hello", backend.join_path(folder, "new", "greeting.txt"))
        >>> list(backend.list_dir_or_file(folder, recursive=True))
        ['new', 'new/greeting.txt']
    """

    _allow_symlink = True

    def get(self, filepath: StrPath) -> bytes:
        """Return the content of a file."""
        with open(local_path(filepath), "rb") as file:
            return file.read()

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the content of a file as text; each line ends with a newline character."""
        with open(local_path(filepath), encoding=encoding) as file:
            return file.read()

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write bytes to a file, atomically, and create its missing folders."""
        with atomic_write(local_path(filepath)) as file:
            file.write(obj)

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is a file or folder of this name; False for a dangling link."""
        return os.path.exists(local_path(filepath))

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is a file of this name."""
        return os.path.isfile(local_path(filepath))

    def isdir(self, filepath: StrPath) -> bool:
        """Return whether there is a folder of this name."""
        return os.path.isdir(local_path(filepath))

    def join_path(self, filepath: StrPath, *filepaths: StrPath) -> str:
        """Join parts as ``os.path.join`` does: an absolute part replaces those before it.

        A leading ``~`` becomes the home folder.
        """
        return expand_home(os.path.join(filepath, *filepaths))

    @contextlib.contextmanager
    def get_local_path(self, filepath: StrPath) -> Iterator[str]:
        """Yield the path itself, as text: nothing is copied or removed."""
        yield os.fspath(local_path(filepath))

    def copyfile_from_local(self, src: StrPath, dst: PathT) -> PathT | str:
        """Copy a file; the same as ``copyfile``."""
        return self.copyfile(src, dst)

    def copyfile_to_local(self, src: StrPath, dst: PathT) -> PathT | str:
        """Copy a file; the same as ``copyfile``."""
        return self.copyfile(src, dst)

    def copytree(
        self, src: StrPath, dst: PathT, *, progress: Progress | None = None
    ) -> PathT | str:
        """Copy a folder, several files at once; ``dst`` must not exist.

        Links are replaced by copies of their targets.

        Returns:
            The destination folder, as it was given.
        """
        root, target = Path(local_path(src)), Path(local_path(dst))
        if not root.is_dir():
            raise NotADirectoryError(f"src must be a folder, got {str(root)!r}")
        if target.resolve().is_relative_to(root.resolve()):
            raise shutil.SameFileError(
                f"dst must be outside of src {str(root)!r}, got {str(target)!r}"
            )
        self._new_folder(target)
        # List first: if the folder cannot be listed, no empty target is created.
        names = list(_walk(str(root), recursive=True))
        target.mkdir(parents=True)
        # All folders first: threads then only write files, and empty folders are copied too.
        for name, is_folder in names:
            if is_folder:
                (target / name).mkdir()
        run_parallel(
            lambda name: self._copy(root / name, target / name),
            [name for name, is_folder in names if not is_folder],
            workers=self._workers,
            progress=progress,
        )
        return cast(PathT, _home_expanded(dst))

    def copytree_from_local(
        self, src: StrPath, dst: PathT, *, progress: Progress | None = None
    ) -> PathT | str:
        """Copy a folder; the same as ``copytree``."""
        return self.copytree(src, dst, progress=progress)

    def copytree_to_local(
        self, src: StrPath, dst: PathT, *, progress: Progress | None = None
    ) -> PathT | str:
        """Copy a folder; the same as ``copytree``."""
        return self.copytree(src, dst, progress=progress)

    def copy_if_symlink_fails(self, src: StrPath, dst: StrPath) -> bool:
        """Make ``dst`` a link to ``src``, or a copy where the file system has no links.

        A file or link named ``dst`` is replaced in one step. A relative ``src`` is relative to the
        working folder. The link is then relative too, so that link and target can be moved
        together.

        Returns:
            Whether a link was made.

        Raises:
            FileNotFoundError: ``src`` does not exist.
        """
        source, link = os.fspath(local_path(src)), os.fspath(local_path(dst))
        if not os.path.exists(source):
            raise FileNotFoundError(f"src of the link {link!r} must exist, got {source!r}")
        if not os.path.islink(link) and os.path.isdir(link):
            return super().copy_if_symlink_fails(src, dst)
        try:
            _replace_link(source, link)
        except OSError:
            return super().copy_if_symlink_fails(src, dst)
        return True

    def _entries(self, dir_path: StrPath, recursive: bool) -> Iterator[Entry]:
        root = os.fspath(local_path(dir_path))
        # A generator would raise at its first step only, so check the folder here.
        os.scandir(root).close()
        return _walk(root, recursive=recursive)

    def remove(self, filepath: StrPath) -> None:
        """Delete a file.

        Raises:
            FileNotFoundError: The file does not exist.
            IsADirectoryError: The path is a folder; use ``rmtree``.
        """
        path = local_path(filepath)
        if os.path.isdir(path) and not os.path.islink(path):
            raise self._no_file(path)
        os.remove(path)

    def rmtree(self, dir_path: StrPath) -> None:
        """Delete a folder and everything in it."""
        shutil.rmtree(local_path(dir_path))

    def _copy(self, src: StrPath, dst: StrPath) -> None:
        source, target = local_path(src), local_path(dst)
        with open(source, "rb") as reader, atomic_write(target) as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)
        # A new file has the permissions of the umask, so copy those of the source.
        shutil.copymode(source, target)

    def _same(self, src: StrPath, dst: StrPath) -> bool:
        try:
            return os.path.samefile(local_path(src), local_path(dst))
        except FileNotFoundError:
            return False

    def _file_target(self, src: StrPath, dst: StrPath) -> StrPath:
        if os.path.isdir(local_path(dst)):
            return self.join_path(dst, os.path.basename(os.fspath(src)))
        return _home_expanded(dst)


class HardDiskBackend(LocalBackend):
    """The local file system, by the older name of its backend.

    Example:
        >>> HardDiskBackend().name
        'HardDiskBackend'
    """


def _home_expanded(path: StrPath) -> StrPath:
    """Return a path as it was given, with the home folder in place of ``~``."""
    return expand_home(path) if os.fspath(path).startswith("~") else path


def _walk(
    root: str,
    *,
    recursive: bool,
    relative: str = "",
    above: frozenset[tuple[int, int]] = frozenset(),
) -> Iterator[Entry]:
    """Yield the relative path of each folder and file in ``root``, a folder before its files.

    Args:
        root: The folder.
        recursive: Whether to descend into folders.
        relative: The part below ``root`` to begin with.
        above: Device and inode of each parent folder.
    """
    here = os.stat(os.path.join(root, relative))
    above |= {(here.st_dev, here.st_ino)}
    with os.scandir(os.path.join(root, relative)) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{relative}/{entry.name}" if relative else entry.name
        is_folder = entry.is_dir()
        # Skip temporary files of atomic writes, dangling links, pipes and devices.
        if not is_folder and (is_partial(entry.name) or not entry.is_file()):
            continue
        yield name, is_folder
        if recursive and is_folder and not _leads_back(entry, above):
            yield from _walk(root, recursive=True, relative=name, above=above)


def _leads_back(entry: os.DirEntry[str], above: frozenset[tuple[int, int]]) -> bool:
    """Return whether a link points to one of its parent folders, which would recurse forever."""
    status = entry.stat()
    return entry.is_symlink() and (status.st_dev, status.st_ino) in above


def _last(path: str) -> str:
    return os.path.basename(os.path.abspath(path))


def _replace_link(source: str, link: str) -> None:
    folder = os.path.dirname(os.path.abspath(link))
    os.makedirs(folder, exist_ok=True)
    if not os.path.isabs(source):
        there = os.path.realpath(os.path.dirname(os.path.abspath(source)))
        source = os.path.join(os.path.relpath(there, os.path.realpath(folder)), _last(source))
    # A link cannot be overwritten, so create a new one and rename it over the old one.
    partial = os.path.join(folder, partial_name())
    os.symlink(source, partial)
    try:
        os.replace(partial, link)
    except OSError:
        os.remove(partial)
        raise
