"""From bytes to a checkpoint: torch's formats and safetensors, without running what a file says."""

import importlib
import json
import logging
import pickle
import warnings
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import torch

from engine_model.weights._errors import CheckpointError
from engine_model.weights._foreign import InertPickle

logger = logging.getLogger("engine.model")


def read_checkpoint(
    file: str | Path | IO[bytes], map_location: Any = None, *, weights_only: bool = True
) -> Any:
    """Read a file that ``torch.save`` or safetensors wrote.

    Args:
        file: A local path, or a binary file that can seek.
        map_location: Where tensors go, as in ``torch.load``; for safetensors a device.
        weights_only: Read tensors and plain values, and put an inert
            :class:`ForeignObject` in the place of every other object. With ``False`` the file
            may run any code: only for files you trust.

    Returns:
        What was saved; of safetensors a dict with ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: If the file is in none of the formats, or its pickle does what no weights
            do.
        ImportError: If it is in safetensors, which is not installed.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> torch.save({"epoch": 3}, file)
        >>> _ = file.seek(0)
        >>> read_checkpoint(file)
        {'epoch': 3}
    """
    if isinstance(file, str | Path):
        with open(file, "rb") as opened:
            return _read(opened, str(file), map_location, weights_only)
    return _read(file, getattr(file, "name", "the file"), map_location, weights_only)


def _read(file: IO[bytes], name: str, map_location: Any, weights_only: bool) -> Any:
    start = file.tell()
    if _is_safetensors(file):
        return _read_safetensors(file, map_location)
    try:
        with warnings.catch_warnings():
            # Of a pickle protocol that torch's own reader may not know: then ours reads it.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(file, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        if not weights_only:
            raise CheckpointError(f"{name} cannot be read: {error}") from error
    except Exception as error:  # a damaged file may make the reader fail in any way
        raise CheckpointError(f"{name} cannot be read: {error}") from error
    file.seek(start)
    return _read_foreign(file, name, map_location)


def _read_foreign(file: IO[bytes], name: str, map_location: Any) -> Any:
    inert = InertPickle()
    try:
        checkpoint = torch.load(
            file,
            map_location=map_location,
            weights_only=False,  # nothing runs: the pickle is read by InertUnpickler
            pickle_module=inert,
        )
    except Exception as error:  # a hostile file may make the reader fail in any way
        raise CheckpointError(
            f"{name} cannot be read as weights: {error}. If you trust where it comes from, "
            "weights_only=False reads it and runs the code in it"
        ) from error
    if inert.placeholders:
        logger.warning(
            "%s holds objects that are neither tensors nor plain values; they are inert here: %s.",
            name,
            ", ".join(inert.placeholders),
        )
    return checkpoint


def _is_safetensors(file: IO[bytes]) -> bool:
    """Eight bytes of length, then a JSON object: no other format begins like this."""
    start = file.tell()
    head = file.read(9)
    file.seek(start)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32


def require_safetensors(part: str = "torch") -> ModuleType:
    """Import a part of safetensors, or tell how to install it."""
    try:
        return importlib.import_module(f"safetensors.{part}")
    except ModuleNotFoundError as error:
        raise ImportError(
            "files in safetensors need the package safetensors: "
            'pip install "engine-model[safetensors]"'
        ) from error


def _read_safetensors(file: IO[bytes], map_location: Any) -> dict[str, Any]:
    library = require_safetensors()
    data = file.read()
    tensors = library.load(data)
    if map_location is not None:
        device = torch.device(map_location)
        tensors = {key: tensor.to(device) for key, tensor in tensors.items()}
    return {"state_dict": tensors, "meta": _safetensors_metadata(data)}


def _safetensors_metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__", {}))
