"""Convert a checkpoint to another format, and publish its weights."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from torch import Tensor

from engine_fileio import copyfile_from_local, isdir, join_path
from engine_model.weights import (
    CheckpointError,
    CheckpointLoader,
    ForeignObject,
    NamingPickle,
    ShardedSave,
    is_sharded_path,
    weights_in,
    write_checkpoint,
)
from engine_runner.checkpoint._layouts import Layout, to_engine, to_mmengine
from engine_runner.checkpoint._manifest import (
    Manifest,
    check_whole,
    facts_of,
    write_manifest,
)
from engine_runner.checkpoint._paths import file_name
from engine_runner.checkpoint.writers import write_file
from engine_utils import did_you_mean, finite_value, plain_value

_PICKLED = (".pth", ".pt", ".ckpt")
_FILES = (*_PICKLED, ".safetensors")
_PUBLISHED = ("meta", "state_dict")
_EMA = "ema_state_dict"


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """What a conversion has written.

    Attributes:
        path: The path or address.
        kept: The keys of the checkpoint that it has.
        dropped: The keys that it does not have.
        facts: The entries of its manifest, and the number of ``tensors`` and ``elements``.

    Example:
        >>> import torch
        >>> folder = tempfile.mkdtemp()
        >>> torch.save({"state_dict": {"weight": torch.ones(2)}}, f"{folder}/net.pth")
        >>> done = convert_checkpoint(f"{folder}/net.pth", f"{folder}/net.dcp")
        >>> done.kept, done.facts["elements"]
        (('state_dict',), 2)
    """

    path: str
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    facts: Mapping[str, Any]


def require_ending(path: str, layout: Layout = "engine") -> None:
    """Raise if the ending of a path is not that of a format, or not that of a layout.

    Raises:
        ValueError: It is not.
    """
    if layout == "mmengine":
        if not path.endswith(_PICKLED):
            raise ValueError(
                f"DST must end with {', '.join(_PICKLED)} for the layout mmengine, got {path!r}"
            )
    elif not is_sharded_path(path) and not path.endswith(_FILES):
        raise ValueError(f"DST must end with .dcp, {', '.join(_FILES)}, got {path!r}")


def convert_checkpoint(
    source: str, target: str, *, trusted: bool = False, layout: Layout = "engine"
) -> Converted:
    """Convert a checkpoint to the format of another path, by its ending.

    A file ``….pth`` and a folder of shards ``….dcp`` have all of it, ``….safetensors`` the weights
    and the plain values of ``meta``. A checkpoint of the reference is brought to plain values.

    Args:
        source: A path or address.
        target: A path or address; what is there is replaced.
        trusted: Whether to run the code in the source that its objects of other classes need.
        layout: ``"mmengine"`` for a file that a run of the reference resumes; see `to_mmengine`.

    Raises:
        CheckpointError: The source is damaged, or has no weights, or objects of other classes and
            is not trusted.
        FileNotFoundError: There is no such checkpoint.
        ValueError: The ending of ``target`` is unknown, or not that of one file in torch's format
            for ``"mmengine"``.
    """
    require_ending(target, layout)
    checkpoint = _read(source, trusted)
    chosen = to_engine(checkpoint)
    if target.endswith(".safetensors"):
        chosen = _storable(chosen)
    _check_plain(chosen, source)
    if is_sharded_path(target):
        ShardedSave(chosen, target, facts=facts_of(chosen)).write()
    elif layout == "mmengine":
        chosen = to_mmengine(chosen)
        write_file(chosen, target, pickle_module=NamingPickle())
    else:
        write_file(chosen, target)
    return _converted(target, chosen, checkpoint)


def publish_checkpoint(
    source: str,
    out: str | None = None,
    *,
    keep: Sequence[str] = (),
    weights: str = "saved",
    trusted: bool = False,
) -> Converted:
    """Write the weights of a checkpoint to a file with a hash in its name.

    Args:
        source: The checkpoint, a path or address.
        out: The file, to whose name the hash is added, or a folder; else beside the checkpoint.
        keep: Keys of the checkpoint to keep beside ``meta`` and ``state_dict``.
        weights: ``"saved"`` for the ``state_dict``; ``"ema"`` and ``"trained"`` for the averages of
            `EMAHook` and for the weights that it has averaged.
        trusted: Whether to run the code in the source that its objects of other classes need.

    Raises:
        CheckpointError: The source is damaged, or has no weights, or objects of other classes among
            what is kept and is not trusted.
        ValueError: ``out`` has an unknown ending, a key is missing, or there are no averages.
    """
    target = _target(source, out)
    checkpoint = to_engine(_read(source, trusted))
    for key in keep:
        if key not in checkpoint:
            raise ValueError(
                f"keep names {key!r}, which {source} does not have{did_you_mean(key, checkpoint)}; "
                f"it has {', '.join(map(str, checkpoint))}"
            )
    chosen = {key: checkpoint[key] for key in (*_PUBLISHED, *keep) if key in checkpoint}
    if "state_dict" not in chosen:  # weights alone, or in another key
        chosen["state_dict"] = weights_in(checkpoint)
    chosen["state_dict"] = _of_averages(checkpoint, chosen["state_dict"], weights, source)
    if target.endswith(".safetensors"):
        if keep:
            raise ValueError(f"keep must be empty for {target}, which has weights and meta alone")
        chosen = _storable(chosen)
    _check_plain(chosen, source)
    # A file and not memory, which large weights may not fit a second time.
    with tempfile.NamedTemporaryFile(prefix="engine-", suffix=PurePath(target).suffix) as file:
        write_checkpoint(chosen, file, target)
        file.flush()
        manifest = Manifest.of(chosen, target, file)
        stem, dot, ending = target.rpartition(".")
        path = f"{stem}-{manifest.sha256[:8]}{dot}{ending}"
        copyfile_from_local(file.name, path)
        write_manifest(path, replace(manifest, file=file_name(path)))
    return _converted(path, chosen, checkpoint)


def _read(source: str, trusted: bool) -> dict[str, Any]:
    check_whole(source)
    checkpoint = CheckpointLoader.load_checkpoint(source, "cpu", weights_only=not trusted)
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{source} must be a dict, got {type(checkpoint).__name__}")
    weights = weights_in(checkpoint)
    if weights is checkpoint and not any(isinstance(item, Tensor) for item in weights.values()):
        raise CheckpointError(
            f"{source} must have weights, got the keys {', '.join(map(str, checkpoint))}"
        )
    return checkpoint


def _check_plain(chosen: Mapping[str, Any], source: str) -> None:
    """Raise if objects were replaced by placeholders, which cannot be written in their place.

    Raises:
        CheckpointError: They were.
    """
    found = list(_foreign(chosen, ()))
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise CheckpointError(
            f"{source} must have tensors and plain values alone, got {found[0]}{more}; --trust "
            "runs the code in the file that such objects need, and keeps them; a target "
            "….safetensors takes the weights without them"
        )


def _foreign(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the path and the class of each object that was not read."""
    if isinstance(value, ForeignObject):
        yield f"{'.'.join(path)}, a {value.class_name}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _foreign(key, (*path, "a key"))
            yield from _foreign(item, (*path, str(key)))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            yield from _foreign(item, (*path, str(number)))


def _target(source: str, out: str | None) -> str:
    name = PurePath(source.rstrip("/")).stem + ".pth"
    if out is None:
        folder, slash, _ = source.rstrip("/").rpartition("/")
        return f"{folder}{slash}{name}"
    if out.endswith("/") or ("://" not in out and Path(out).is_dir()):
        return join_path(out, name)
    if not out.endswith((".pth", ".pt", ".safetensors")):
        if "://" in out and isdir(out):
            return join_path(out, name)
        raise ValueError(f"out must end with .pth or .safetensors, or be a folder, got {out!r}")
    return out


def _of_averages(checkpoint: Mapping[str, Any], state: Any, weights: str, source: str) -> Any:
    """Return the averages, or the weights that were averaged.

    While a run averages, its checkpoints have the averages as their ``state_dict``.
    """
    if weights == "saved":
        return state
    if _EMA not in checkpoint:
        raise ValueError(
            f"weights must be 'saved' for {source}, which has no averages of EMAHook, got "
            f"{weights!r}"
        )
    if weights == "ema":
        return state
    prefix = "module."
    trained = checkpoint[_EMA]
    chosen = type(state)((name, trained.get(f"{prefix}{name}", state[name])) for name in state)
    if hasattr(state, "_metadata"):
        chosen._metadata = state._metadata
    return chosen


def _storable(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the weights and the values of ``meta`` that safetensors can store."""
    weights = weights_in(checkpoint)
    meta = {} if weights is checkpoint else checkpoint.get("meta", {})
    tensors: Any = type(weights)((k, v) for k, v in weights.items() if isinstance(v, Tensor))
    if hasattr(weights, "_metadata"):
        tensors._metadata = weights._metadata
    plain = {str(key): plain_value(value) for key, value in dict(meta).items()}
    return {"meta": {k: v for k, v in plain.items() if _is_json(v)}, "state_dict": tensors}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(finite_value(value), allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _converted(path: str, chosen: dict[str, Any], checkpoint: dict[str, Any]) -> Converted:
    tensors = [value for value in weights_in(chosen).values() if isinstance(value, Tensor)]
    counts = {"tensors": len(tensors), "elements": sum(tensor.numel() for tensor in tensors)}
    # A file of weights alone has their names as keys.
    kept = tuple(map(str, chosen)) if "state_dict" in chosen or "model" in chosen else ("weights",)
    known = checkpoint if "state_dict" in checkpoint or "model" in checkpoint else {}
    dropped = tuple(str(key) for key in known if key not in chosen)
    return Converted(path=path, kept=kept, dropped=dropped, facts={**facts_of(chosen), **counts})
