"""Written by scripts/compat_stubs.py."""

from engine_fileio import (
    BaseStorageBackend,
    HTTPBackend,
    HardDiskBackend,
    LmdbBackend,
    LocalBackend,
    MemcachedBackend,
    PetrelBackend,
    register_backend,
)

__all__ = [
    "BaseStorageBackend",
    "HTTPBackend",
    "HardDiskBackend",
    "LmdbBackend",
    "LocalBackend",
    "MemcachedBackend",
    "PetrelBackend",
    "register_backend",
]
