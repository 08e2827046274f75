"""Write one checkpoint file and its manifest, each complete or not at all."""

import io
import logging
import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from engine_fileio import (
    BaseStorageBackend,
    LocalBackend,
    atomic_write,
    get_file_backend,
    local_path,
)
from engine_model.weights import damage_of, naming_the_file, write_checkpoint
from engine_runner.checkpoint._manifest import (
    Manifest,
    manifest_path,
    read_manifest,
    remove_manifest,
    verify,
    write_manifest,
)

_log = logging.getLogger("engine.runner")


def write_file(
    checkpoint: dict[str, Any],
    path: str,
    backend_args: Mapping[str, Any] | None = None,
    *,
    pickle_module: Any = pickle,
) -> None:
    """Write a checkpoint to one file, check it by reading it, and write its manifest beside it.

    On a local disk it is checked before it replaces an older file of its name. From another storage
    it is read again.

    Args:
        checkpoint: The checkpoint.
        path: A path or URI.
        backend_args: Arguments of the storage backend.
        pickle_module: See `engine_model.weights.write_checkpoint`.

    Raises:
        OSError: The storage cannot be written to, or returns other bytes than were written.
    """
    with naming_the_file(path):
        backend = get_file_backend(path, backend_args=dict(backend_args) if backend_args else None)
        if isinstance(backend, LocalBackend):
            manifest = _write_local(checkpoint, path, pickle_module)
        else:
            buffer = io.BytesIO()
            write_checkpoint(checkpoint, buffer, path, pickle_module=pickle_module)
            manifest = _checked(checkpoint, buffer, path)
            _put(buffer, manifest, path, backend, backend_args)
    if manifest is None:
        return
    try:
        write_manifest(path, manifest, backend_args)
    except OSError as error:
        # The file is complete and has a checksum of its own, which each reader compares.
        _log.warning("the manifest of %s was not written: %s", path, error)


def _write_local(checkpoint: dict[str, Any], path: str, pickle_module: Any) -> Manifest | None:
    target = Path(local_path(path))
    with atomic_write(target) as file:
        write_checkpoint(checkpoint, file, path, pickle_module=pickle_module)
        if not file.readable():  # a pipe or a device
            return None
        file.flush()
        manifest = _checked(checkpoint, file, path)
        # Before the file is renamed: the manifest of an older one would make this one damaged.
        for name in (os.path.realpath(target), path):
            with suppress(OSError):  # it is replaced below, where a failure is logged
                remove_manifest(name)
    return manifest


def _put(
    buffer: io.BytesIO,
    manifest: Manifest,
    path: str,
    backend: BaseStorageBackend,
    backend_args: Mapping[str, Any] | None,
) -> None:
    """Write a file to another storage than the local disk, and read it again."""
    if read_manifest(path, backend_args) is not None:
        # Emptied, as not each storage can delete: that of an older file would not fit this one.
        backend.put(b"", manifest_path(path))
    backend.put(buffer.getbuffer(), path)
    problem = verify(path, manifest, backend_args)
    if problem is not None:
        raise OSError(f"{path} was written, but the storage returns something else: {problem}")


def _checked(checkpoint: dict[str, Any], file: IO[bytes], path: str) -> Manifest:
    """Return the manifest of a file; raise if its bytes are not those that were written."""
    file.seek(0)
    damage = damage_of(file)
    if damage is not None:
        raise OSError(f"{path} does not read as it was written: {damage}; check the disk")
    return Manifest.of(checkpoint, path, file)
