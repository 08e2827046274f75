"""One set of file functions for local disk, HTTP, S3, LMDB, memcached and fsspec."""

from typing import TYPE_CHECKING, Any

from engine_fileio._atomic import atomic_write, remove_partials
from engine_fileio._client import FileClient
from engine_fileio._errors import (
    OperationNotSupported,
    StorageError,
    StorageUnavailable,
    UntrustedDataError,
)
from engine_fileio._functions import (
    copy_if_symlink_fails,
    copyfile,
    copyfile_from_local,
    copyfile_to_local,
    copytree,
    copytree_from_local,
    copytree_to_local,
    exists,
    generate_presigned_url,
    get,
    get_local_path,
    get_text,
    isdir,
    isfile,
    join_path,
    list_dir_or_file,
    put,
    put_text,
    remove,
    rmtree,
)
from engine_fileio._lists import dict_from_file, list_from_file
from engine_fileio._load_dump import dump, load
from engine_fileio._locks import try_lock
from engine_fileio._paths import local_path, uri_of
from engine_fileio.backends import (
    BaseStorageBackend,
    HardDiskBackend,
    get_file_backend,
    register_backend,
)
from engine_fileio.backends._registry import class_named as _class_named
from engine_fileio.backends._registry import class_names as _class_names
from engine_fileio.handlers import (
    BaseFileHandler,
    JsonHandler,
    PickleHandler,
    YamlHandler,
    register_handler,
)

if TYPE_CHECKING:
    from engine_fileio.backends._table import *  # noqa: F403  # static names of the table's rows

__all__ = [
    "BaseFileHandler",
    "BaseStorageBackend",
    "FileClient",
    "HardDiskBackend",
    "JsonHandler",
    "OperationNotSupported",
    "PickleHandler",
    "StorageError",
    "StorageUnavailable",
    "UntrustedDataError",
    "YamlHandler",
    "atomic_write",
    "copy_if_symlink_fails",
    "copyfile",
    "copyfile_from_local",
    "copyfile_to_local",
    "copytree",
    "copytree_from_local",
    "copytree_to_local",
    "dict_from_file",
    "dump",
    "exists",
    "generate_presigned_url",
    "get",
    "get_file_backend",
    "get_local_path",
    "get_text",
    "isdir",
    "isfile",
    "join_path",
    "list_dir_or_file",
    "list_from_file",
    "load",
    "local_path",
    "put",
    "put_text",
    "register_backend",
    "register_handler",
    "remove",
    "remove_partials",
    "rmtree",
    "try_lock",
    "uri_of",
]
__all__ += _class_names()
__all__.sort()


def __getattr__(name: str) -> Any:
    # All backends but the local one are imported on first use.
    return _class_named(name, __name__)
