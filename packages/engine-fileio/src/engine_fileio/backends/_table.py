"""The table of storage backends.

A new backend is one file in this folder, one row here and, if it needs a library, one extra in
``pyproject.toml``. ``_classes.py`` repeats the classes for editors and type checkers.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from engine_fileio.backends._base import BaseStorageBackend
from engine_utils import import_extra


class BackendRow(NamedTuple):
    """One storage backend.

    Attributes:
        name: The value of ``backend`` in ``backend_args`` that chooses it.
        backend: The class, or ``"module:class"`` of a class that is imported on first use.
        prefixes: The URI schemes that choose it.
        extra: The extra of engine-fileio that installs its library, or None if it needs none.

    Example:
        >>> row = BackendRow("local", "engine_fileio.backends._local:LocalBackend", ("file",))
        >>> row.class_name, row.load()().allow_symlink
        ('LocalBackend', True)
    """

    name: str
    backend: str | type[BaseStorageBackend]
    prefixes: tuple[str, ...] = ()
    extra: str | None = None

    @property
    def class_name(self) -> str:
        """The name of the class, which is not imported for it."""
        if isinstance(self.backend, str):
            return self.backend.partition(":")[2]
        return self.backend.__name__

    def load(self) -> type[BaseStorageBackend]:
        """Return the class, imported if needed."""
        if not isinstance(self.backend, str):
            return self.backend
        module, _, name = self.backend.partition(":")
        loaded: type[BaseStorageBackend] = getattr(import_module(module), name)
        return loaded


_HERE = "engine_fileio.backends"
# fsspec has more schemes. They are reached with backend_args={"backend": "fsspec"}, so that the
# table leaves them to the backends of users.
_FSSPEC = ("abfs", "abfss", "az", "ftp", "gcs", "gs", "hdfs", "hf", "memory", "sftp", "webhdfs")

ROWS = (
    BackendRow("local", f"{_HERE}._local:LocalBackend", ("file",)),
    BackendRow("disk", f"{_HERE}._local:LocalBackend"),
    BackendRow("http", f"{_HERE}._http:HTTPBackend", ("http", "https"), extra="http"),
    BackendRow("s3", f"{_HERE}._s3:S3Backend", ("s3",), extra="s3"),
    BackendRow("petrel", f"{_HERE}._petrel:PetrelBackend", ("petrel",), extra="s3"),
    BackendRow("lmdb", f"{_HERE}._lmdb:LmdbBackend", extra="lmdb"),
    BackendRow("memcached", f"{_HERE}._memcached:MemcachedBackend", extra="memcached"),
    BackendRow("fsspec", f"{_HERE}._fsspec:FsspecBackend", _FSSPEC, extra="fsspec"),
)


def class_names() -> list[str]:
    """Return the names of the classes of all rows, sorted."""
    return sorted({row.class_name for row in ROWS})


def class_named(name: str, module: str) -> type[BaseStorageBackend]:
    """Return the class of that name, for the ``__getattr__`` of ``module``.

    Raises:
        AttributeError: No row has a class of this name.
    """
    for row in ROWS:
        if row.class_name == name:
            return row.load()
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def import_library(backend: str, module: str) -> ModuleType:
    """Import a module of the library that a backend needs.

    Args:
        backend: The name of the backend's row.
        module: The module, such as ``"botocore.config"``.

    Raises:
        ImportError: It cannot be imported; the message holds the line that installs it.
    """
    row = next(row for row in ROWS if row.name == backend)
    return import_extra(module, install=f"engine-fileio[{row.extra}]", purpose=row.class_name)
