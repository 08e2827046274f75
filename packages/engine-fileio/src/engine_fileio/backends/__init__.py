"""The storage back ends and the table that finds them by name and prefix."""

from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._fsspec import FsspecBackend
from engine_fileio.backends._http import HTTPBackend
from engine_fileio.backends._lmdb import LmdbBackend
from engine_fileio.backends._local import HardDiskBackend, LocalBackend
from engine_fileio.backends._memcached import MemcachedBackend
from engine_fileio.backends._petrel import PetrelBackend
from engine_fileio.backends._s3 import S3Backend
from engine_fileio.backends._table import get_file_backend, register_backend

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

register_backend("local", LocalBackend, prefixes="file")
register_backend("disk", LocalBackend)
register_backend("http", HTTPBackend, prefixes=("http", "https"))
register_backend("s3", S3Backend, prefixes="s3")
register_backend("petrel", PetrelBackend, prefixes="petrel")
register_backend("lmdb", LmdbBackend)
register_backend("memcached", MemcachedBackend)
# Other schemes of fsspec are reached with backend_args={"backend": "fsspec"}.
register_backend(
    "fsspec",
    FsspecBackend,
    prefixes=("abfs", "abfss", "az", "ftp", "gcs", "gs", "hdfs", "hf", "memory", "sftp", "webhdfs"),
)
