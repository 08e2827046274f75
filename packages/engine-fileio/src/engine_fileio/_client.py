"""The older interface to a backend: a client chosen by name or prefix."""

import contextlib
import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from engine_fileio._paths import StrPath, prefix_of
from engine_fileio.backends._base import BaseStorageBackend, Suffix
from engine_fileio.backends._local import LocalBackend
from engine_fileio.backends._registry import (
    BackendT,
    backend_class,
    frozen,
    known_prefix,
    prefix_class,
    register_backend,
)


class FileClient:
    """A client of one storage backend; equal arguments return the same client.

    Prefer the file functions (`get`, `put`, …) or `get_file_backend` in new code: a client that a
    ``backend`` chooses, as in the older ``file_client_args``, warns with `DeprecationWarning`.

    Args:
        backend: Name of the backend. It has priority over ``prefix``.
        prefix: URI scheme that chooses the backend. Without both, it is the local disk.
        **kwargs: Arguments of the backend.

    Attributes:
        client: The backend.

    Example:
        >>> FileClient(prefix="file") is FileClient(prefix="file")
        True
        >>> FileClient.infer_client(uri="data/a.txt").name
        'LocalBackend'
    """

    _instances: ClassVar[dict[Hashable, "FileClient"]] = {}
    client: BaseStorageBackend

    def __new__(
        cls, backend: str | None = None, prefix: str | None = None, **kwargs: Any
    ) -> "FileClient":
        """Return the existing client of these arguments, or a new one."""
        if backend is not None:
            warn_of_client_args(f"FileClient(backend={backend!r})")
        return cls._chosen(backend, prefix, kwargs)

    @classmethod
    def _chosen(
        cls, backend: str | None, prefix: str | None, arguments: dict[str, Any]
    ) -> "FileClient":
        if backend is not None:
            chosen = backend_class(backend)
        else:
            chosen = LocalBackend if prefix is None else prefix_class(prefix, f"{prefix}://")
        key = (cls, chosen, frozen(arguments))
        if key not in cls._instances:
            # setdefault is atomic: if several threads build a client, all of them return the first
            # one.
            cls._instances.setdefault(key, cls.around(chosen(**arguments)))
        return cls._instances[key]

    @classmethod
    def around(cls, client: BaseStorageBackend) -> "FileClient":
        """Return a client of a backend that exists."""
        made = super().__new__(cls)
        made.client = client
        return made

    @property
    def name(self) -> str:
        """The name of the backend's class."""
        return self.client.name

    @property
    def allow_symlink(self) -> bool:
        """Whether the storage supports symbolic links."""
        return self.client.allow_symlink

    @staticmethod
    def parse_uri_prefix(uri: StrPath) -> str | None:
        """Return the scheme of a URI, or None for a plain path."""
        return prefix_of(uri)

    @classmethod
    def infer_client(
        cls,
        file_client_args: Mapping[str, Any] | None = None,
        uri: StrPath | None = None,
    ) -> "FileClient":
        """Return the client of ``file_client_args``, or else of the prefix of ``uri``.

        ``file_client_args`` warn with `DeprecationWarning`: ``backend_args`` take their place.
        """
        if file_client_args is not None:
            warn_of_client_args("file_client_args of FileClient")
            return client_of(file_client_args)
        if uri is None:
            raise ValueError("no client is chosen; pass file_client_args or uri")
        return cls(prefix=known_prefix(uri))

    @classmethod
    def register_backend(
        cls,
        name: str,
        backend: BackendT | None = None,
        force: bool = False,
        prefixes: str | Sequence[str] | None = None,
    ) -> BackendT | Callable[[BackendT], BackendT]:
        """Register a backend; the same as `engine_fileio.register_backend`."""
        if backend is None:
            return register_backend(name, force=force, prefixes=prefixes)
        return register_backend(name, backend, force, prefixes)

    def get(self, filepath: StrPath) -> bytes | memoryview:
        """Return the content of a file."""
        return self.client.get(filepath)

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the content of a file as text."""
        if encoding == "utf-8":
            return self.client.get_text(filepath)  # a user's backend may take no encoding
        return bytes(self.client.get(filepath)).decode(encoding)

    def put(self, obj: bytes | memoryview, filepath: StrPath) -> None:
        """Write bytes to a file, replacing it and creating its folders."""
        self.client.put(obj, filepath)

    def put_text(self, obj: str, filepath: StrPath) -> None:
        """Write text to a file as UTF-8, replacing it and creating its folders."""
        self.client.put_text(obj, filepath)

    def remove(self, filepath: StrPath) -> None:
        """Delete a file."""
        self.client.remove(filepath)

    def exists(self, filepath: StrPath) -> bool:
        """Return whether there is a file or folder of this name."""
        return self.client.exists(filepath)

    def isdir(self, filepath: StrPath) -> bool:
        """Return whether there is a folder of this name."""
        return self.client.isdir(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Return whether there is a file of this name."""
        return self.client.isfile(filepath)

    def join_path(self, filepath: StrPath, *filepaths: StrPath) -> str:
        """Join parts of a path by the rules of the storage."""
        return self.client.join_path(filepath, *filepaths)

    @contextlib.contextmanager
    def get_local_path(self, filepath: StrPath) -> Iterator[str]:
        """Yield a local path that holds a file; a temporary copy is removed at the end."""
        with self.client.get_local_path(filepath) as path:
            yield os.fspath(path)

    def list_dir_or_file(
        self,
        dir_path: StrPath,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: Suffix = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Iterate over folders and files in ``dir_path``, as paths relative to it."""
        return self.client.list_dir_or_file(dir_path, list_dir, list_file, suffix, recursive)


def client_of(file_client_args: Mapping[str, Any]) -> FileClient:
    """Return the client that the older form of ``backend_args`` chooses, without a warning."""
    arguments = dict(file_client_args)
    return FileClient._chosen(
        arguments.pop("backend", None), arguments.pop("prefix", None), arguments
    )


def warn_of_client_args(name: str) -> None:
    """Warn the caller of a function that what it uses is replaced by ``backend_args``.

    Args:
        name: What the caller of the function uses.
    """
    warnings.warn(
        f"{name} is deprecated; use the file functions, such as get(path, backend_args=…)",
        DeprecationWarning,
        stacklevel=3,
    )
