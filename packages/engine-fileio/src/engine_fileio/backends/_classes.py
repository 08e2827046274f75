"""The classes of the table, imported for editors and type checkers only: one line for each row.

At run time ``__getattr__`` of the packages finds them through the table, on first use.
"""

from engine_fileio.backends._fsspec import FsspecBackend as FsspecBackend
from engine_fileio.backends._http import HTTPBackend as HTTPBackend
from engine_fileio.backends._lmdb import LmdbBackend as LmdbBackend
from engine_fileio.backends._local import LocalBackend as LocalBackend
from engine_fileio.backends._memcached import MemcachedBackend as MemcachedBackend
from engine_fileio.backends._petrel import PetrelBackend as PetrelBackend
from engine_fileio.backends._s3 import S3Backend as S3Backend
