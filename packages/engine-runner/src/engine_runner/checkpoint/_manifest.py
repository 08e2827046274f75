"""Manifests: what a checkpoint file must be, in a small JSON file beside it."""

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any, Literal

from engine_fileio import atomic_write, get_local_path, get_text, local_path, put_text, remove
from engine_model.weights import MANIFEST, CheckpointError, is_sharded_path, sharded_damage
from engine_runner._version import __version__
from engine_runner.checkpoint._paths import file_name

VERSION = 1
Format = Literal["torch", "dcp", "safetensors"]

_log = logging.getLogger("engine.runner")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "file": str, "format": str, "size": int, "sha256": str, "resumable": bool, "saved": str,
    "epoch": (int, type(None)), "iter": (int, type(None)), "engine_version": str, "keys": list,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The facts of one checkpoint file.

    Attributes:
        file: The name of the file, without its folder.
        format: What wrote it: `torch.save`, `torch.distributed.checkpoint` or safetensors.
        size: The size in bytes.
        sha256: The SHA-256 of the content, in hex digits.
        resumable: Whether a run can be resumed from it. Weights alone cannot.
        epoch: Finished epochs, if the checkpoint counts them.
        iter: Finished iterations, if the checkpoint counts them.
        keys: The keys at the top level of the checkpoint; empty if they were not noted.
        saved: When it was written, in local time.
        engine_version: The version of engine-runner that wrote it.

    Example:
        >>> import io
        >>> file = io.BytesIO(b"every byte of it")
        >>> checkpoint = {"meta": {"epoch": 1, "iter": 7}, "state_dict": {}, "optimizer": {}}
        >>> made = Manifest.of(checkpoint, "out/epoch_1.pth", file)
        >>> made.file, made.size, made.sha256[:8], made.iter, made.resumable
        ('epoch_1.pth', 16, 'ff3c5277', 7, True)
    """

    file: str
    format: Format = "torch"
    size: int
    sha256: str
    resumable: bool
    epoch: int | None = None
    iter: int | None = None
    keys: tuple[str, ...] = ()
    saved: str
    engine_version: str = __version__

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any], path: str, file: IO[bytes]) -> "Manifest":
        """Return the manifest of a checkpoint that was written.

        Args:
            checkpoint: The checkpoint.
            path: The path or URI of the file, whose ending is that of its format.
            file: Its content, which is read from its start.
        """
        written: Format = "safetensors" if path.endswith(".safetensors") else "torch"
        size, sha256 = digest(file)
        facts = facts_of(checkpoint)
        return cls(file=file_name(path), format=written, size=size, sha256=sha256, **facts)

    def to_json(self) -> str:
        """Return the manifest as the text of its file."""
        return json.dumps({"version": VERSION, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Return the manifest that a text contains; unknown keys are ignored.

        Raises:
            ValueError: The text is not a manifest, or of a later version.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("version") != VERSION:
            raise ValueError(f"version must be {VERSION}")
        fields = {name: data[name] for name in _TYPES if name in data}
        for name, value in fields.items():
            if not isinstance(value, _TYPES[name]):
                raise ValueError(f"{name} has a value of the type {type(value).__name__}")
        missing = {"file", "size", "sha256", "resumable", "saved"} - fields.keys()
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return cls(**{**fields, "keys": tuple(fields.get("keys", ()))})


def facts_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a `Manifest` that do not depend on the file.

    Args:
        checkpoint: The checkpoint.
    """
    epoch, iteration = _counters(checkpoint)
    return {
        "resumable": is_resumable(checkpoint),
        "epoch": epoch,
        "iter": iteration,
        "keys": tuple(map(str, checkpoint)),
        "saved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "engine_version": __version__,
    }


def is_resumable(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a run can be resumed from a checkpoint.

    It needs counters, and the state of the optimizer unless no iteration has finished.

    Example:
        >>> is_resumable({"meta": {"epoch": 1, "iter": 7}, "state_dict": {}})
        False
    """
    _, iteration = _counters(checkpoint)
    return iteration == 0 or (iteration is not None and "optimizer" in checkpoint)


def digest(file: IO[bytes]) -> tuple[int, str]:
    """Return the size of a file, and its SHA-256 in hex digits; it is read from its start."""
    file.seek(0)
    sha256 = file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it calls readinto
    return file.seek(0, 2), sha256


def manifest_path(path: str) -> str:
    """Return the path or URI of the manifest of a checkpoint: beside a file, inside a folder.

    Example:
        >>> manifest_path("s3://bucket/run/epoch_3.pth")
        's3://bucket/run/epoch_3.pth.json'
        >>> manifest_path("s3://bucket/run/epoch_3.dcp")
        's3://bucket/run/epoch_3.dcp/manifest.json'
    """
    return f"{path}/{MANIFEST}" if is_sharded_path(path) else f"{path}.json"


def write_manifest(
    path: str, manifest: Manifest, backend_args: Mapping[str, Any] | None = None
) -> None:
    """Write the manifest of a checkpoint file, which must be complete, beside it.

    Args:
        path: The path or URI of the checkpoint.
        manifest: Its manifest.
        backend_args: Arguments of the storage backend.

    Raises:
        OSError: The storage cannot be written to.
    """
    target, text = manifest_path(path), manifest.to_json()
    if backend_args is None and is_local(path):
        # Not flushed to disk: a power cut leaves it empty, and then the file itself is checked.
        with atomic_write(target, durable=False) as file:
            file.write(text.encode())
    else:
        put_text(text, target, backend_args=_given(backend_args))


def read_manifest(path: str, backend_args: Mapping[str, Any] | None = None) -> Manifest | None:
    """Return the manifest of a checkpoint file; None if it has none, or none that can be read.

    Args:
        path: The path or URI of the checkpoint.
        backend_args: Arguments of the storage backend.
    """
    where = manifest_path(path)
    try:
        text = get_text(where, backend_args=_given(backend_args))
    except (OSError, ValueError):  # a ValueError: the bytes are not UTF-8
        return None
    try:
        return Manifest.from_json(text)
    except ValueError as error:
        _log.debug("%s is not read as a manifest: %s", where, error)
        return None


def remove_manifest(path: str, backend_args: Mapping[str, Any] | None = None) -> None:
    """Delete the manifest of a checkpoint file, if it has one.

    Args:
        path: The path or URI of the checkpoint.
        backend_args: Arguments of the storage backend.

    Raises:
        OSError: The storage cannot be written to.
    """
    try:
        remove(manifest_path(path), backend_args=_given(backend_args))
    except FileNotFoundError:
        return


def verify(
    path: str, manifest: Manifest, backend_args: Mapping[str, Any] | None = None
) -> str | None:
    """Return how a checkpoint file differs from its manifest, or None if it does not.

    A file of another storage is downloaded for this.

    Args:
        path: The path or URI of the checkpoint.
        manifest: Its manifest.
        backend_args: Arguments of the storage backend.

    Raises:
        OSError: The file cannot be read.
    """
    if is_sharded_path(path):
        return sharded_damage(path, backend_args)
    with (
        get_local_path(path, backend_args=_given(backend_args)) as local,
        open(local, "rb") as file,
    ):
        size = file.seek(0, 2)
        if size != manifest.size:
            return f"it has {size} bytes, but {manifest.size} were saved"
        return None if digest(file)[1] == manifest.sha256 else "its bytes are not those saved"


def is_outdated(path: str, manifest: Manifest) -> bool:
    """Return whether a local file has another size than its manifest: it was rewritten since."""
    local = Path(local_path(path))
    return is_local(path) and local.is_file() and local.stat().st_size != manifest.size


def check_whole(path: str) -> None:
    """Raise if a local checkpoint file is not the one that its manifest describes.

    A file without a manifest passes. So do a file in torch's format and one of another storage:
    each contains a checksum, with which it is compared when it is read. It may have been rewritten
    by other means since, by `torch.save` for example. The files of a folder of shards are compared
    when they are read, too.

    Args:
        path: The path or URI of the checkpoint.

    Raises:
        CheckpointError: The file was damaged or replaced since it was saved.
    """
    if not is_local(path) or is_sharded_path(path):
        return
    manifest = read_manifest(path)
    while manifest is not None and manifest.format != "torch":
        try:
            problem = verify(path, manifest)
        except OSError:  # the reader raises its own
            return
        if problem is None:
            return
        former, manifest = manifest, read_manifest(path)
        if manifest == former:  # else a training has written a new file of this name meanwhile
            raise CheckpointError(
                f"{path} is damaged: {problem}; use another copy or checkpoint; if you have "
                f"replaced the file yourself, delete {manifest_path(path)}"
            )


def is_local(path: str) -> bool:
    """Return whether a path or URI is on a local disk."""
    return "://" not in path or path.startswith("file://")


def _counters(checkpoint: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the epoch and the iteration of a checkpoint, each None if it has none."""
    found = checkpoint.get("progress") or checkpoint.get("meta")
    state = found if isinstance(found, Mapping) else {}
    epoch, iteration = (state.get(name) for name in ("epoch", "iter"))
    return (
        epoch if isinstance(epoch, int) else None,
        iteration if isinstance(iteration, int) else None,
    )


def _given(backend_args: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(backend_args) if backend_args else None
