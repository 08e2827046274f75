"""The storage back ends and the table that finds them by name and prefix.

All but the local one are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._local import HardDiskBackend, LocalBackend
from engine_fileio.backends._table import get_file_backend, register_backend

if TYPE_CHECKING:
    from engine_fileio.backends._fsspec import FsspecBackend
    from engine_fileio.backends._http import HTTPBackend
    from engine_fileio.backends._lmdb import LmdbBackend
    from engine_fileio.backends._memcached import MemcachedBackend
    from engine_fileio.backends._petrel import PetrelBackend
    from engine_fileio.backends._s3 import S3Backend

__all__ = [
    "BaseStorageBackend",
    "FsspecBackend",
    "HTTPBackend",
    "HardDiskBackend",
    "LmdbBackend",
    "LocalBackend",
    "MemcachedBackend",
    "PetrelBackend",
    "S3Backend",
    "get_file_backend",
    "register_backend",
]

LAZY = {
    "FsspecBackend": "_fsspec",
    "HTTPBackend": "_http",
    "LmdbBackend": "_lmdb",
    "MemcachedBackend": "_memcached",
    "PetrelBackend": "_petrel",
    "S3Backend": "_s3",
}


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{LAZY[name]}"), name)
