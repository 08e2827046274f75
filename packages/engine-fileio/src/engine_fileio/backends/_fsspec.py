"""Read and write any file system that fsspec supports."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from engine_fileio._paths import StrPath, prefix_of, resolve_dots, shown, uri_of
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._keys import Entry, entries_of
from engine_fileio.backends._library import import_library

_CHUNK = 1 << 20


class FsspecBackend(BaseStorageBackend):
    """Any file system of fsspec: ``gs://``, ``az://``, ``hf://``, ``memory://`` and many more.

    Each file system needs its own package (gcsfs, adlfs, huggingface_hub, …). If it is missing,
    fsspec raises an error with its name. Whether writes are atomic depends on the file system.

    Args:
        protocol: The scheme of paths without ``scheme://``.
        workers: Number of files of a tree that are copied at once.
        **storage_options: Arguments of the file system, such as ``token`` or ``anon``.

    Example:
        >>> backend = FsspecBackend()
        >>> backend.put_text("hello", "memory://docs/greeting.txt")
        >>> list(backend.list_dir_or_file("memory://docs")), backend.isdir("memory://docs")
        (['greeting.txt'], True)
    """

    def __init__(
        self, protocol: str | None = None, *, workers: int = 16, **storage_options: Any
    ) -> None:
        self._protocol = protocol
        self._workers = workers
        self._options = storage_options

    def get(self, filepath: StrPath) -> bytes:
        """Return the content of a file; raises FileNotFoundError if there is none."""
        system, path = self._open(filepath)
        try:
            content: bytes = system.cat_file(path)
        except FileNotFoundError as error:  # it may have the path alone as its text
            raise self._no_file(filepath) from error
        return content

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the content of a file as text."""
        return self.get(filepath).decode(encoding)

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write bytes to a file, replacing it and creating its folders."""
        system, path = self._open(filepath, create_folder=True)
        system.pipe_file(path, bytes(obj))

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is a file or folder of this name."""
        system, path = self._open(filepath)
        return bool(system.exists(path))

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is a file of this name."""
        system, path = self._open(filepath)
        return bool(system.isfile(path))

    def isdir(self, filepath: StrPath) -> bool:
        """Return whether there is a folder of this name."""
        system, path = self._open(filepath)
        return bool(system.isdir(path))

    def remove(self, filepath: StrPath) -> None:
        """Delete a file; raises FileNotFoundError and IsADirectoryError as ``os.remove`` does."""
        system, path = self._open(filepath)
        if system.isdir(path) or not system.exists(path):
            raise self._no_file(filepath)
        system.rm_file(path)

    def rmtree(self, dir_path: StrPath) -> None:
        """Delete a folder and everything in it."""
        system, path = self._open(dir_path)
        if not system.isdir(path):
            raise FileNotFoundError(f"there is no folder {shown(dir_path)!r}")
        system.rm(path, recursive=True)

    def _entries(self, dir_path: StrPath, recursive: bool) -> Iterator[Entry]:
        system, path = self._open(dir_path)
        # fsspec caches listings, but another process may have added files since.
        system.invalidate_cache(path)
        if not system.isdir(path):
            raise FileNotFoundError(f"there is no folder {shown(dir_path)!r}")
        found = system.find(path, maxdepth=None if recursive else 1, withdirs=True, detail=True)
        prefix = path.rstrip("/") + "/"
        # `withdirs` also lists folders, even empty ones. A final slash marks them as folders.
        keys = (
            name if entry["type"] == "file" else f"{name.rstrip('/')}/"
            for name, entry in sorted(found.items())
            if name.startswith(prefix)
        )
        return entries_of(keys, prefix, recursive=recursive)

    def _download(self, filepath: StrPath, file: BinaryIO) -> None:
        system, path = self._open(filepath)
        with system.open(path, "rb") as source:
            shutil.copyfileobj(source, file, _CHUNK)

    def _upload(self, local: Path, filepath: StrPath) -> None:
        system, path = self._open(filepath, create_folder=True)
        system.put_file(str(local), path)

    def _copy(self, src: StrPath, dst: StrPath) -> None:
        system, source = self._open(src)
        target = self._open(dst, create_folder=True)[1]
        system.cp_file(source, target)

    def _open(self, path: StrPath, *, create_folder: bool = False) -> tuple[Any, str]:
        """Return the file system of a path, and the path in it."""
        uri = uri_of(path)
        if prefix_of(uri) is None:
            if self._protocol is None:
                raise ValueError(
                    f"a path must begin with scheme://, got {uri!r}; add it or pass protocol"
                )
            uri = f"{self._protocol}://{uri}"
        scheme, _, rest = uri.partition("://")
        if ".." in rest.split("/"):
            # The first part is a bucket or a host, and the path must stay inside it. The part is
            # empty if the scheme has none, as in file:///path.
            top = rest.split("/")[0]
            uri = f"{scheme}://{'' if top else '/'}{resolve_dots(rest, root=top)}"
        system, inner = import_library("fsspec", "fsspec.core").url_to_fs(uri, **self._options)
        if create_folder and "/" in inner.strip("/"):
            system.makedirs(inner.rpartition("/")[0], exist_ok=True)
        return system, inner
