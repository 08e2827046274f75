"""The base class of storage backends, which implements most operations with a few methods."""

import contextlib
import os
import shutil
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn, cast

from engine_fileio._atomic import atomic_write
from engine_fileio._errors import OperationNotSupported
from engine_fileio._paths import (
    PathT,
    StrPath,
    base_name,
    check_listed,
    local_path,
    shown,
    uri_of,
)
from engine_fileio.backends._keys import Entry
from engine_fileio.backends._transfer import Progress, run_parallel
from engine_utils import declare_secrets

Suffix = str | tuple[str, ...] | None


class BaseStorageBackend(metaclass=ABCMeta):
    """Base class of storage backends.

    A subclass must define ``get`` and ``get_text``. It may define ``put``, ``exists``, ``isfile``,
    ``isdir``, ``list_dir_or_file`` and ``remove``. All other operations call these. An operation
    that needs an undefined method raises `OperationNotSupported`.

    A cache, which may delete a file at any time, sets ``is_cache``: no checkpoint is saved there.
    A subclass lists its secret arguments in ``secrets``. They are masked in the ``backend_args`` of
    a config that a run logs or stores, as ``token`` and ``password`` always are.

    Our backends define ``_entries`` instead of ``list_dir_or_file``. They override ``_download``,
    ``_upload`` and ``_copy`` to stream transfers, instead of holding whole files in memory.

    Example:
        >>> class Shouting(BaseStorageBackend):
        ...     def get(self, filepath):
        ...         return str(filepath).upper().encode()
        ...     def get_text(self, filepath):
        ...         return self.get(filepath).decode()
        >>> Shouting().get_text("quiet"), Shouting().name
        ('QUIET', 'Shouting')
        >>> Shouting().remove("quiet")
        Traceback (most recent call last):
            ...
        engine_fileio._errors.OperationNotSupported: Shouting cannot do 'remove'
    """

    secrets: ClassVar[tuple[str, ...]] = ()
    is_cache: ClassVar[bool] = False
    _allow_symlink = False
    _workers = 16

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declare_secrets(*cls.secrets)

    @property
    def allow_symlink(self) -> bool:
        """Whether the storage supports symbolic links."""
        return self._allow_symlink

    @property
    def name(self) -> str:
        """The name of the class, for log lines."""
        return type(self).__name__

    @abstractmethod
    def get(self, filepath: StrPath) -> bytes:
        """Return the content of a file."""

    @abstractmethod
    def get_text(self, filepath: StrPath) -> str:
        """Return the content of a file as text."""

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write ``obj`` to a file, replacing it and creating its folders."""
        self._unsupported("put")

    def put_text(self, obj: str, filepath: StrPath, encoding: str = "utf-8") -> None:
        """Write text to a file, replacing it and creating its folders."""
        self.put(obj.encode(encoding), filepath)

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is a file or folder of this name."""
        self._unsupported("exists")

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is a file of this name."""
        self._unsupported("isfile")

    def isdir(self, filepath: StrPath) -> bool:
        """Return whether there is a folder of this name."""
        self._unsupported("isdir")

    def remove(self, filepath: StrPath) -> None:
        """Delete a file; raises FileNotFoundError and IsADirectoryError as ``os.remove`` does."""
        self._unsupported("remove")

    def list_dir_or_file(
        self,
        dir_path: StrPath,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: Suffix = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Iterate over folders and files in ``dir_path``, as paths relative to it.

        Args:
            dir_path: The folder.
            list_dir: Whether to yield folders.
            list_file: Whether to yield files.
            suffix: Yield only files that end with this string, or one of these, and no folders.
            recursive: Whether to descend into folders.

        Raises:
            FileNotFoundError: The folder does not exist.
            NotADirectoryError: ``dir_path`` is a file, where the storage has folders of its own.
        """
        folders = list_dir and suffix is None
        return (
            name
            for name, is_folder in self._entries(dir_path, recursive)
            if (folders if is_folder else list_file) and (suffix is None or name.endswith(suffix))
        )

    def generate_presigned_url(
        self, url: str, client_method: str = "get_object", expires_in: int = 3600
    ) -> str:
        """Return a URL that works without credentials for ``expires_in`` seconds."""
        self._unsupported("generate_presigned_url", "only object stores sign URLs")

    def join_path(self, filepath: StrPath, *filepaths: StrPath) -> str:
        """Join parts with one slash between them; leading slashes of later parts are dropped.

        Parts that are paths of Windows are joined with slashes, too.
        """
        first, *rest = map(uri_of, (filepath, *filepaths))
        # The slashes of a scheme such as s3:// are not separators.
        head = first if first.endswith("://") else first.rstrip("/")
        for part in rest:
            gap = "" if not head or head.endswith("/") else "/"
            head = f"{head}{gap}{part.strip('/')}"
        return head

    @contextlib.contextmanager
    def get_local_path(self, filepath: StrPath) -> Iterator[str]:
        """Yield a temporary local copy with the file's own name; it is removed at the end."""
        import tempfile  # slow to import

        with tempfile.TemporaryDirectory(prefix="engine-fileio-") as folder:
            # Keep the file's name, because readers choose the format by the suffix.
            local = Path(folder) / base_name(filepath)
            with open(local, "wb") as file:
                self._download(filepath, file)
            yield str(local)

    def copyfile(self, src: StrPath, dst: PathT) -> PathT | str:
        """Copy a file within this storage; ``dst`` may be a folder.

        Returns:
            The destination file: ``dst`` as it was given, or the file in that folder.

        Raises:
            shutil.SameFileError: ``src`` and ``dst`` are the same file.
        """
        target = self._file_target(src, dst)
        if self._same(src, target):
            raise shutil.SameFileError(f"src and dst must be two files, got {shown(src)!r} twice")
        self._copy(src, target)
        return cast(PathT, target)

    def copyfile_from_local(self, src: StrPath, dst: PathT) -> PathT | str:
        """Upload a local file and return the destination; ``dst`` may be a folder."""
        local = Path(local_path(src))
        target = self._file_target(local.name, dst)
        self._upload(local, target)
        return cast(PathT, target)

    def copyfile_to_local(self, src: StrPath, dst: PathT) -> PathT | str:
        """Download a file, written atomically; ``dst`` may be a folder.

        Returns:
            The destination file: ``dst`` as it was given, or the file in that folder.
        """
        given = local_path(dst)
        target = os.path.join(given, base_name(src)) if os.path.isdir(given) else given
        with atomic_write(target) as file:
            self._download(src, file)
        return cast(PathT, target)

    def copytree(
        self, src: StrPath, dst: PathT, *, progress: Progress | None = None
    ) -> PathT | str:
        """Copy a folder within this storage, several files at once.

        Args:
            src: Folder to copy.
            dst: Folder to create.
            progress: Called with the number of finished files and of all files.

        Returns:
            The destination folder.

        Raises:
            FileExistsError: ``dst`` exists.
        """
        self._new_folder(dst)
        run_parallel(
            lambda name: self._copy(self.join_path(src, name), self.join_path(dst, name)),
            self._files_of(src),
            workers=self._workers,
            progress=progress,
        )
        return uri_of(dst)

    def copytree_from_local(
        self, src: StrPath, dst: PathT, *, progress: Progress | None = None
    ) -> PathT | str:
        """Upload a local folder, several files at once; ``dst`` must not exist."""
        self._new_folder(dst)
        root = Path(local_path(src))
        if not root.is_dir():
            raise NotADirectoryError(f"src must be a local folder, got {str(root)!r}")
        run_parallel(
            lambda name: self._upload(root / name, self.join_path(dst, name)),
            _local_files(root),
            workers=self._workers,
            progress=progress,
        )
        return uri_of(dst)

    def copytree_to_local(
        self, src: StrPath, dst: PathT, *, progress: Progress | None = None
    ) -> PathT | str:
        """Download a folder, several files at once, each written atomically.

        Other files in ``dst`` are kept. A listed name outside of ``dst`` raises PermissionError
        before anything is downloaded.

        Returns:
            The destination folder.
        """
        root = Path(local_path(dst))
        # Check all names before the first file is written.
        names = list(self._files_of(src))
        root.mkdir(parents=True, exist_ok=True)

        def download(name: str) -> None:
            with atomic_write(root / name) as file:
                self._download(self.join_path(src, name), file)

        run_parallel(download, names, workers=self._workers, progress=progress)
        return cast(PathT, local_path(dst))

    def copy_if_symlink_fails(self, src: StrPath, dst: StrPath) -> bool:
        """Copy a file or folder, because this storage has no links.

        Returns:
            Whether a link was made: False.
        """
        if self._is_folder(src):
            self.copytree(src, dst)
        else:
            self.copyfile(src, dst)
        return False

    def rmtree(self, dir_path: StrPath) -> None:
        """Delete a folder and everything in it, several files at once."""
        run_parallel(
            lambda name: self.remove(self.join_path(dir_path, name)),
            self._files_of(dir_path),
            workers=self._workers,
        )

    def _entries(self, dir_path: StrPath, recursive: bool) -> Iterator[Entry]:
        """Yield each folder and file in ``dir_path``, a folder before its contents."""
        self._unsupported("list_dir_or_file")

    def _download(self, filepath: StrPath, file: BinaryIO) -> None:
        """Write the content of ``filepath`` to an open local file."""
        file.write(self.get(filepath))

    def _upload(self, local: Path, filepath: StrPath) -> None:
        """Write a local file to ``filepath``."""
        self.put(local.read_bytes(), filepath)

    def _copy(self, src: StrPath, dst: StrPath) -> None:
        """Copy one file within this storage."""
        self.put(self.get(src), dst)

    def _same(self, src: StrPath, dst: StrPath) -> bool:
        return uri_of(src) == uri_of(dst)

    def _file_target(self, src: StrPath, dst: StrPath) -> StrPath:
        text = uri_of(dst)
        if text.endswith("/") or self._is_folder(dst):
            return self.join_path(text, base_name(src))
        return text

    def _files_of(self, folder: StrPath) -> Iterator[str]:
        return map(check_listed, self.list_dir_or_file(folder, list_dir=False, recursive=True))

    def _no_file(self, filepath: StrPath) -> OSError:
        """Return the error for a path that is not a file."""
        if self._is_folder(filepath):
            return IsADirectoryError(f"{shown(filepath)!r} is a folder; use rmtree")
        return FileNotFoundError(f"{shown(filepath)!r} does not exist")

    def _new_folder(self, dst: StrPath) -> None:
        try:
            taken = self.exists(dst) or self.isdir(dst)
        except OperationNotSupported:
            return  # a storage without folders and listings has nothing to check
        if taken:
            raise FileExistsError(
                f"dst must not exist, got {shown(dst)!r}; pass a new folder, or call rmtree first"
            )

    def _is_folder(self, path: StrPath) -> bool:
        try:
            return self.isdir(path)
        except OperationNotSupported:
            return False

    def _unsupported(self, operation: str, hint: str = "") -> NoReturn:
        raise OperationNotSupported(self.name, operation, hint)


def _local_files(root: Path) -> Iterator[str]:
    for folder, _, files in os.walk(root, followlinks=True):
        relative = Path(folder).relative_to(root)
        for name in sorted(files):
            yield (relative / name).as_posix()
