"""The storage back ends and the table that finds them by name and prefix."""

from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._local import HardDiskBackend, LocalBackend
from engine_fileio.backends._table import get_file_backend, register_backend

__all__ = [
    "BaseStorageBackend",
    "HardDiskBackend",
    "LocalBackend",
    "get_file_backend",
    "register_backend",
]

register_backend("local", LocalBackend, prefixes="file")
register_backend("disk", LocalBackend)
