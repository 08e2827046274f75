"""From bytes to a checkpoint: torch's formats and safetensors, without running what a file says."""

import importlib
import json
import logging
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import torch
from torch import Tensor

from engine_model.weights._errors import CheckpointError
from engine_model.weights._foreign import InertPickle, RefusedPickleError

logger = logging.getLogger("engine.model")

_TAR_MARK = slice(257, 262)


def read_checkpoint(
    file: str | Path | IO[bytes], map_location: Any = None, *, weights_only: bool = True
) -> Any:
    """Read a file that ``torch.save`` or safetensors wrote.

    Args:
        file: A local path, or a binary file that can seek.
        map_location: Where tensors go, as in ``torch.load``.
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
    try:
        if _is_safetensors(file):
            return _read_safetensors(file, map_location)
        with warnings.catch_warnings():
            # Of a pickle protocol that torch's own reader may not know: then ours reads it.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(file, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        if not weights_only:
            raise _unreadable(file, name, start, error) from error
    except ImportError:  # of safetensors: the file may well be in order
        raise
    except Exception as error:  # a damaged file may make the reader fail in any way
        raise _unreadable(file, name, start, error) from error
    file.seek(start)
    return _read_foreign(file, name, map_location)


def _read_foreign(file: IO[bytes], name: str, map_location: Any) -> Any:
    inert = InertPickle()
    start = file.tell()
    try:
        checkpoint = torch.load(
            file,
            map_location=map_location,
            weights_only=False,  # nothing runs: the pickle is read by InertUnpickler
            pickle_module=inert,
        )
    except RefusedPickleError as error:
        raise CheckpointError(
            f"{name} was not read: {error}. If you trust where it comes from, "
            "weights_only=False reads it and runs the code in it"
        ) from error
    except Exception as error:  # a hostile file may make the reader fail in any way
        raise _unreadable(file, name, start, error) from error
    if inert.placeholders:
        logger.warning(
            "%s holds objects that are neither tensors nor plain values; they are inert here: %s.",
            name,
            ", ".join(inert.placeholders),
        )
    return checkpoint


def _unreadable(file: IO[bytes], name: str, start: int, error: Exception) -> CheckpointError:
    """Return an error that says what the file seems to be."""
    cause = f"{type(error).__name__}: {error}"
    file.seek(start)
    head = file.read(_TAR_MARK.stop)
    if not head:
        cause = "it is empty"
    elif head[_TAR_MARK] == b"ustar":
        cause = (
            "it is a tar archive, as torch.save wrote them before 2017, which only "
            "torch.load(..., weights_only=False) reads, running the code in it"
        )
    elif "map_location" not in str(error):
        cause += ". Perhaps it is damaged, or neither torch.save nor safetensors wrote it"
    return CheckpointError(f"{name} cannot be read: {cause}")


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
    tensors = {key: _placed(tensor, map_location) for key, tensor in library.load(data).items()}
    return {"state_dict": tensors, "meta": _safetensors_metadata(data)}


def _placed(tensor: Tensor, map_location: Any) -> Tensor:
    """Move a tensor of the CPU to where ``map_location`` says, in any of the forms of torch."""
    if map_location is None:
        return tensor
    if isinstance(map_location, Mapping):
        return tensor.to(map_location.get("cpu", "cpu"))
    if callable(map_location):
        storage = map_location(tensor.untyped_storage(), "cpu")
        return tensor if storage is None else tensor.to(storage.device)
    return tensor.to(map_location)


def _safetensors_metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__", {}))
