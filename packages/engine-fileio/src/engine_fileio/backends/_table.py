"""The table of storage backends.

A new backend is one file in this folder, one row here (with an import for editors and type
checkers) and, if it needs a library, one extra in ``pyproject.toml``.
"""

from typing import TYPE_CHECKING

from engine_fileio.backends._row import BackendRow

if TYPE_CHECKING:  # static names; at run time the rows import the classes on first use
    from engine_fileio.backends._fsspec import FsspecBackend as FsspecBackend
    from engine_fileio.backends._http import HTTPBackend as HTTPBackend
    from engine_fileio.backends._lmdb import LmdbBackend as LmdbBackend
    from engine_fileio.backends._local import LocalBackend as LocalBackend
    from engine_fileio.backends._memcached import MemcachedBackend as MemcachedBackend
    from engine_fileio.backends._petrel import PetrelBackend as PetrelBackend
    from engine_fileio.backends._s3 import S3Backend as S3Backend


_HERE = "engine_fileio.backends"
# fsspec has more schemes. The table leaves them to backends of users; backend_args={"backend":
# "fsspec"} selects fsspec for them.
_FSSPEC = ("abfs", "abfss", "az", "ftp", "gcs", "gs", "hdfs", "hf", "memory", "sftp", "webhdfs")

ROWS = (
    BackendRow("local", f"{_HERE}._local:LocalBackend", ("file",)),
    BackendRow("disk", f"{_HERE}._local:LocalBackend"),
    BackendRow("http", f"{_HERE}._http:HTTPBackend", ("http", "https"), ("headers",)),
    BackendRow("s3", f"{_HERE}._s3:S3Backend", ("s3",)),
    BackendRow("petrel", f"{_HERE}._petrel:PetrelBackend", ("petrel",)),
    BackendRow("lmdb", f"{_HERE}._lmdb:LmdbBackend"),
    BackendRow("memcached", f"{_HERE}._memcached:MemcachedBackend"),
    BackendRow("fsspec", f"{_HERE}._fsspec:FsspecBackend", _FSSPEC, ("key", "username")),
)
