"""Load a checkpoint into a model, and save a checkpoint."""

import io
import json
import logging
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from engine_fileio import LocalBackend, atomic_write, get_file_backend, local_path
from engine_model._compiled import COMPILED
from engine_model._sharded_tensors import sharded_names
from engine_model.weights._errors import CheckpointError, StateDictError
from engine_model.weights._loader import CheckpointLoader
from engine_model.weights._names import copy_versions
from engine_model.weights._read import JSON_KEYS, VERSIONS, MapLocation, require_safetensors
from engine_model.weights._seal import SealedFile
from engine_model.weights._state import load_state_dict
from engine_utils import finite_value, plain_name

KeyRules = Sequence[tuple[str, str]] | Mapping[str, str | None]
"""Pairs of a regular expression and its replacement, or a mapping from old names to new ones."""


def weights_in(checkpoint: object) -> dict[str, Any]:
    """Return the weights of a checkpoint: ``state_dict``, ``model``, or the whole checkpoint.

    Args:
        checkpoint: The loaded checkpoint.

    Raises:
        CheckpointError: The checkpoint has no weights.

    Example:
        >>> weights_in({"epoch": 3, "state_dict": {"weight": torch.zeros(1)}})
        {'weight': tensor([0.])}
    """
    weights = checkpoint
    if isinstance(checkpoint, Mapping) and "state_dict" in checkpoint:
        weights = checkpoint["state_dict"]
    # Check for a mapping: a plain state dict may have a parameter named "model".
    elif isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("model"), Mapping):
        weights = checkpoint["model"]
    if not isinstance(weights, dict) or not all(isinstance(key, str) for key in weights):
        raise CheckpointError(
            "no weights in the checkpoint: it must be a dict of weights, or have the key "
            f"'state_dict' or 'model', got {type(checkpoint).__name__}"
        )
    return weights


def revise_names(weights: dict[str, Any], rules: KeyRules) -> dict[str, Any]:
    r"""Return a new dict with renamed weights.

    Args:
        weights: Weights by name; the dict is not changed.
        rules: Pairs ``(pattern, replacement)``, which `re.sub` applies to each name in order. Or
            a mapping from old to new prefixes of names, such as ``{"backbone": "encoder"}``. A
            prefix is one or more whole words between dots, and the longest match applies. Weights
            whose prefix maps to ``None`` are dropped. Unless a pattern contains ``_orig_mod``, the
            ``_orig_mod.`` of compiled modules is removed first.

    Raises:
        ValueError: Two weights get the same name.

    Example:
        >>> dict(revise_names({"module.fc.bias": 0}, [(r"^module\.", "")]))
        {'fc.bias': 0}
        >>> rules = {"backbone": "encoder", "head": None}
        >>> dict(revise_names({"backbone.w": 0, "head.w": 1}, rules))
        {'encoder.w': 0}
    """
    result: OrderedDict[str, Any] = OrderedDict()
    rename = _renaming(rules)
    pairs = []
    for old, value in weights.items():
        new = rename(old)
        if new is None:
            continue
        if new in result:
            raise ValueError(f"names must differ, but {old!r} and another key both become {new!r}")
        result[new] = value
        pairs.append((old, new))
    copy_versions(weights, result, rename, pairs)
    return result


def _renaming(rules: KeyRules) -> Callable[[str], str | None]:
    """Return the function that renames one weight."""
    if any(COMPILED in (rule if isinstance(rule, str) else rule[0]) for rule in rules):
        return partial(_renamed, rules=rules)
    return lambda name: _renamed(plain_name(name), rules)


def _renamed(name: str, rules: KeyRules) -> str | None:
    if isinstance(rules, Mapping):
        parts = [part for part in rules if name == part or name.startswith(f"{part}.")]
        if not parts:
            return name
        part = max(parts, key=len)
        new = rules[part]
        return None if new is None else new + name.removeprefix(part)
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def weights_under(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the weights of one part of a model, by their names within that part.

    Args:
        weights: Weights by name.
        prefix: The name of the part, such as ``"backbone"``, with or without a dot at the end. If
            no name begins with it, it is looked up inside ``module.``, the prefix of a wrapper.

    Raises:
        CheckpointError: No name begins with the prefix.

    Example:
        >>> dict(weights_under({"backbone.conv.weight": 0, "head.weight": 1}, "backbone"))
        {'conv.weight': 0}
    """
    start = prefix if prefix.endswith(".") else f"{prefix}."
    plain = revise_names(weights, [])
    for begin in (start, f"module.{start}"):
        found = OrderedDict(
            (k.removeprefix(begin), v) for k, v in plain.items() if k.startswith(begin)
        )
        if found:
            inside = partial(_inside, begin)
            copy_versions(plain, found, inside)
            return found
    parts = sorted({key.partition(".")[0] for key in weights})
    raise CheckpointError(
        f"no weights under the prefix {start!r}; the checkpoint has {', '.join(parts)}"
    )


def _inside(prefix: str, name: str) -> str | None:
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def load_checkpoint_with_prefix(
    filename: str | Path,
    prefix: str,
    map_location: MapLocation = None,
    *,
    weights_only: bool = True,
) -> dict[str, Any]:
    """Load the weights of one part of a saved model, by their names within that part.

    Args:
        filename: A path or an address.
        prefix: The name of the part, such as ``"backbone"``.
        map_location: The devices of the tensors, as in `torch.load`.
        weights_only: Whether to read plain data only and run no code; see `read_checkpoint`.

    Raises:
        CheckpointError: The checkpoint has no such part.
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location, weights_only=weights_only)
    return weights_under(weights_in(checkpoint), prefix)


def load_checkpoint(
    model: nn.Module,
    filename: str | Path,
    map_location: MapLocation = None,
    strict: bool = False,
    logger: logging.Logger | str | None = None,
    revise_keys: KeyRules = [(r"^module\.", "")],  # noqa: B006  # documented; never changed
    *,
    weights_only: bool = True,
) -> Any:
    """Load weights from a file or address into a model.

    Args:
        model: The model, or a wrapper of it.
        filename: A path or an address; see `CheckpointLoader`.
        map_location: The devices of the tensors, as in `torch.load`.
        strict: Whether to raise an error if names or shapes differ.
        logger: The logger of the path, and of a warning about weights that do not fit.
        revise_keys: The rules that rename the weights before they are loaded; see `revise_names`.
        weights_only: Whether to read plain data only and run no code; see `read_checkpoint`.

    Returns:
        The whole checkpoint.

    Raises:
        CheckpointError: The file has no weights.
        StateDictError: No weight fits, or ``strict`` is true and a name or shape does not fit.
        TypeError: ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a module, got {type(model).__name__}; to read a file without a model, "
            "call CheckpointLoader.load_checkpoint(filename)"
        )
    checkpoint = CheckpointLoader.load_checkpoint(
        filename, map_location, logger, weights_only=weights_only
    )
    with naming_the_checkpoint(filename):
        load_state_dict(model, revise_names(weights_in(checkpoint), revise_keys), strict, logger)
    return checkpoint


@contextmanager
def naming_the_checkpoint(filename: str | Path) -> Iterator[None]:
    """Begin the message of a `StateDictError` inside the context with the path of the weights.

    Args:
        filename: The path or address.
    """
    try:
        yield
    except StateDictError as error:
        raise StateDictError(f"{filename}: {error}") from error


def save_checkpoint(
    checkpoint: dict[str, Any],
    filename: str | Path,
    file_client_args: dict[str, Any] | None = None,
    backend_args: dict[str, Any] | None = None,
) -> None:
    """Save a checkpoint to a path or an address; a local file appears only when it is complete.

    The file ends with its size and checksum, in the comment of the zip archive that `torch.save`
    writes. `read_checkpoint` raises if the file was damaged since; other readers skip the comment.

    Args:
        checkpoint: The checkpoint. If the name ends in ``.safetensors``, it must be weights, or a
            dict with ``state_dict`` and optionally ``meta``, plain values that are saved as JSON.
        filename: A path, or an address that engine-fileio has a backend for.
        file_client_args: The old name of ``backend_args``.
        backend_args: Arguments of the storage backend.

    Raises:
        TypeError: ``meta`` for safetensors has a value that JSON cannot represent.
        ValueError: Both ``file_client_args`` and ``backend_args`` are given, or the checkpoint has
            sharded tensors, or values that safetensors cannot store.
    """
    if file_client_args is not None:
        if backend_args is not None:
            raise ValueError(
                "at most one of backend_args and file_client_args, its old name, must be given, "
                "got both; give one"
            )
        warnings.warn(
            "file_client_args is deprecated; use backend_args", DeprecationWarning, stacklevel=2
        )
        backend_args = file_client_args
    backend = get_file_backend(filename, backend_args=backend_args)
    if isinstance(backend, LocalBackend):
        with atomic_write(local_path(filename)) as file:
            write_checkpoint(checkpoint, file, str(filename))
    else:
        buffer = io.BytesIO()
        write_checkpoint(checkpoint, buffer, str(filename))
        backend.put(buffer.getbuffer(), str(filename))


def _check_unsharded(checkpoint: dict[str, Any]) -> None:
    names = sharded_names(checkpoint)
    if names:
        raise ValueError(
            f"tensors must not be sharded, got {len(names)} sharded: "
            f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}; the file would contain the "
            "part of this rank only; call weights_to_cpu(get_state_dict(model)) on all ranks first"
        )


def write_checkpoint(
    checkpoint: dict[str, Any],
    file: IO[bytes],
    filename: str = "",
    *,
    pickle_module: Any = pickle,
) -> None:
    """Write a checkpoint to an open file, with its size and checksum; see `save_checkpoint`.

    Args:
        checkpoint: The checkpoint.
        file: A binary file, opened for writing, and empty.
        filename: Its name, which decides on the format.
        pickle_module: What pickles all but the tensors, such as `NamingPickle`.

    Raises:
        ValueError: The checkpoint has sharded tensors, or values that safetensors cannot store.

    Example:
        >>> file = io.BytesIO()
        >>> write_checkpoint({"epoch": 3}, file)
        >>> _ = file.seek(0)
        >>> torch.load(file)
        {'epoch': 3}
    """
    _check_unsharded(checkpoint)
    if not filename.endswith(".safetensors"):
        if not file.seekable():  # a pipe
            torch.save(checkpoint, file, pickle_module)
            return
        sealed = SealedFile(file)
        torch.save(checkpoint, sealed, pickle_module)  # type: ignore[arg-type]  # it calls write and flush only
        sealed.seal()
        return
    weights = weights_in(checkpoint)
    meta = {} if weights is checkpoint else checkpoint.get("meta", {})
    _check_storable(checkpoint, weights, filename)
    texts = _as_texts(meta)
    versions = getattr(weights, "_metadata", None)
    if versions is not None:
        texts[VERSIONS] = json.dumps(versions)
    _write_sorted(require_safetensors().save(_unshared(weights), texts), file)


def _write_sorted(data: bytes, file: IO[bytes]) -> None:
    """Write a file of safetensors with its metadata in order, which the library draws anew."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight bytes
    file.write(len(text).to_bytes(8, "little") + text)
    file.write(memoryview(data)[end:])


def _check_storable(checkpoint: dict[str, Any], weights: dict[str, Any], filename: str) -> None:
    """Check that safetensors can store all of a checkpoint.

    Raises:
        ValueError: A value is not a tensor, or a key is not stored.
    """
    lost = [key for key, value in weights.items() if not isinstance(value, Tensor)]
    if weights is not checkpoint:
        lost += [key for key in checkpoint if key not in ("state_dict", "model", "meta")]
    if lost:
        raise ValueError(
            f"{filename}: safetensors stores tensors and texts only, not "
            f"{', '.join(map(str, lost))}; remove them, or use a name that ends in .pth"
        )


def _as_texts(meta: Mapping[str, Any]) -> dict[str, str]:
    texts = {}
    for key, value in meta.items():
        try:
            texts[key] = value if isinstance(value, str) else _as_json(value)
        except TypeError as error:
            raise TypeError(
                f"meta has {key!r}, a {type(value).__name__}, which JSON cannot represent; remove "
                "it, or use a name that ends in .pth"
            ) from error
    encoded = [key for key in texts if not isinstance(meta[key], str)]
    return {**texts, JSON_KEYS: json.dumps(encoded)} if encoded else texts


def _as_json(value: Any) -> str:
    return json.dumps(finite_value(value), allow_nan=False)


def _unshared(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights that share no memory: copy tied weights.

    safetensors cannot represent shared memory, and raises an error.
    """
    seen: set[int] = set()
    result = {}
    for key, value in weights.items():
        value = value.contiguous()  # safetensors stores no strides
        storage = value.untyped_storage().data_ptr()
        result[key] = value.clone() if storage in seen else value
        seen.add(storage)
    return result
