"""The storage backends, and the table that finds them by name or URI prefix.

All but the local one are imported on first use.
"""

from typing import TYPE_CHECKING, Any

from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._local import HardDiskBackend
from engine_fileio.backends._registry import class_named as _class_named
from engine_fileio.backends._registry import class_names as _class_names
from engine_fileio.backends._registry import get_file_backend, register_backend

if TYPE_CHECKING:
    from engine_fileio.backends._table import *  # noqa: F403  # static names of the table's rows

__all__ = ["BaseStorageBackend", "HardDiskBackend", "get_file_backend", "register_backend"]
__all__ += _class_names()
__all__.sort()


def __getattr__(name: str) -> Any:
    return _class_named(name, __name__)
