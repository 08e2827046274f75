"""Read a checkpoint in torch's formats or safetensors, without running code from the file."""

import json
import logging
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO, Any, TypeAlias

import torch
from torch import Tensor

from engine_fileio import local_path
from engine_model.weights._errors import CheckpointError
from engine_model.weights._foreign import InertPickle, UnsafePickleError
from engine_model.weights._seal import damage_of
from engine_utils import import_extra

MapLocation: TypeAlias = str | torch.device | dict[str, str] | Callable[[Any, str], Any] | None
"""The types of ``map_location`` in `torch.load`."""

logger = logging.getLogger("engine.model")

VERSIONS = "engine_module_versions"
"""The key of the metadata of safetensors under which the versions of modules are saved."""
JSON_KEYS = "engine_json_keys"
"""The key under which the names of the values that are JSON are saved; the others are texts."""

# The histories in a message hub, which a resumed run reads, and which inference does not need.
_READ_BY_RUNS = frozenset(
    {
        "mmengine.logging.history_buffer.HistoryBuffer",
        "mmengine.logging.message_hub.MessageHub",
        "builtins.getattr",  # the methods that a history names
        "__builtin__.getattr",
    }
)

_LFS_MARK = b"version https://git-lfs"
# The position of the text "ustar" in a tar archive.
_TAR_MARK = slice(257, 262)


def read_checkpoint(
    file: str | Path | IO[bytes], map_location: MapLocation = None, *, weights_only: bool = True
) -> Any:
    """Read a file that `torch.save` or safetensors wrote.

    Args:
        file: A local path, or a binary file that can seek.
        map_location: The devices of the tensors, as in `torch.load`.
        weights_only: Whether to read tensors and plain values only, and replace every other object
            by an inert `ForeignObject`. With ``False`` the file can run any code, so use it only
            for files that you trust.

    Returns:
        The saved object; for safetensors a dict with ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: The format is unknown, the file was damaged since it was saved, or the
            pickle contains an operation that a pickle of weights never contains.
        ImportError: The file is in safetensors, which is not installed.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> torch.save({"epoch": 3}, file)
        >>> _ = file.seek(0)
        >>> read_checkpoint(file)
        {'epoch': 3}
    """
    if isinstance(file, str | Path):
        with open(local_path(file), "rb") as opened:
            return _read(opened, str(file), map_location, weights_only)
    return _read(file, getattr(file, "name", "the file"), map_location, weights_only)


def _read(file: IO[bytes], name: str, map_location: MapLocation, weights_only: bool) -> Any:
    start = file.tell()
    # torch compares no checksum: a flipped bit would be a different weight.
    damage = damage_of(file)
    if damage is not None:
        raise CheckpointError(f"{name} is damaged: {damage}; use another copy or checkpoint")
    try:
        if _is_safetensors(file):
            return _read_safetensors(file, map_location)
        with warnings.catch_warnings():
            # torch warns about a pickle protocol that its reader may not support. Ours does.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(file, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        if not weights_only:
            raise _unreadable(file, name, start, error) from error
    except ImportError:  # safetensors is not installed, and the file may be valid
        raise
    except Exception as error:  # a damaged file may make the reader raise any error
        raise _unreadable(file, name, start, error) from error
    # torch's reader found a foreign class. Read the same bytes again with ours.
    file.seek(start)
    return _read_foreign(file, name, map_location)


def _read_foreign(file: IO[bytes], name: str, map_location: MapLocation) -> Any:
    inert = InertPickle()
    start = file.tell()
    try:
        checkpoint = torch.load(
            file,
            map_location=map_location,
            # torch accepts another pickle module only with weights_only=False. InertPickle runs no
            # code from the file.
            weights_only=False,
            pickle_module=inert,
        )
    except UnsafePickleError as error:
        raise CheckpointError(
            f"{name} was not read: {error}; if you trust its source, use weights_only=False, which "
            "runs the code in the file"
        ) from error
    except Exception as error:  # a hostile file may make the reader raise any error
        raise _unreadable(file, name, start, error) from error
    if inert.placeholders:
        known = all(name in _READ_BY_RUNS for name in inert.placeholders)
        logger.log(
            logging.DEBUG if known else logging.WARNING,
            "%s contains objects that are neither tensors nor plain values; inert placeholders "
            "replace them: %s.",
            name,
            ", ".join(inert.placeholders),
        )
    return checkpoint


def _unreadable(file: IO[bytes], name: str, start: int, error: Exception) -> CheckpointError:
    """Return an error that describes the file."""
    cause = f"{type(error).__name__}: {error}"
    file.seek(start)
    head = file.read(_TAR_MARK.stop)
    if not head:
        cause = "it is empty"
    elif head[_TAR_MARK] == b"ustar":
        cause = (
            "it is a tar archive, the format of torch.save before 2017; only "
            "torch.load(..., weights_only=False) reads it, and runs the code in it"
        )
    elif head.startswith(_LFS_MARK):
        cause = "it is a pointer of Git LFS, not the file that it stands for; run `git lfs pull`"
    elif head.lstrip()[:1] == b"<":
        cause = "it is a page of HTML or XML, as a server sends in place of a file; download again"
    elif "map_location" not in str(error):  # a missing device is not an error of the file
        cause += "; it may be damaged, or in another format than torch's or safetensors"
    return CheckpointError(f"{name} cannot be read: {cause}")


def _is_safetensors(file: IO[bytes]) -> bool:
    """Return whether a file begins with a length of eight bytes and a JSON object."""
    # The limit on the length excludes a pickle or zip file whose ninth byte is a brace by chance.
    start = file.tell()
    head = file.read(9)
    file.seek(start)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32


def require_safetensors(part: str = "torch") -> ModuleType:
    """Import a module of safetensors and return it.

    Raises:
        ImportError: Safetensors is not installed.
    """
    return import_extra(
        f"safetensors.{part}",
        install="engine-model[safetensors]",
        purpose="a file in the format safetensors",
    )


def _read_safetensors(file: IO[bytes], map_location: MapLocation) -> dict[str, Any]:
    library = require_safetensors()
    data = file.read()
    tensors: Any = OrderedDict(
        (key, placed(tensor, map_location)) for key, tensor in library.load(data).items()
    )
    meta = _safetensors_metadata(data)
    if VERSIONS in meta:
        tensors._metadata = OrderedDict(json.loads(meta.pop(VERSIONS)))
    for key in json.loads(meta.pop(JSON_KEYS, "[]")):
        meta[key] = json.loads(meta[key])
    return {"state_dict": tensors, "meta": meta}


def placed(tensor: Tensor, map_location: MapLocation) -> Tensor:
    """Move a CPU tensor to the device that ``map_location`` selects, as `torch.load` does."""
    if map_location is None:
        return tensor
    if isinstance(map_location, dict):
        return tensor.to(map_location.get("cpu", "cpu"))
    if callable(map_location):
        storage = map_location(tensor.untyped_storage(), "cpu")
        return tensor if storage is None else tensor.to(storage.device)
    return tensor.to(map_location)


def _safetensors_metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__", {}))
