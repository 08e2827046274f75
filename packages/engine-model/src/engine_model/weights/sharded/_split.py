"""Split a checkpoint into tensors by key and plain values with placeholders, and join them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from engine_model._sharded_tensors import is_sharded, sharded_names

# Smaller tensors stay among the plain values: a step counter per parameter is not worth an entry.
LARGE = 1 << 16

Path = tuple[Any, ...]


class Split:
    """A checkpoint whose sharded and large tensors are apart from the rest.

    Args:
        checkpoint: The checkpoint; it is not changed.

    Attributes:
        values: The checkpoint, with a tensor on the device ``meta`` in the place of each of
            ``tensors``.
        tensors: The tensors by key, the dotted path in the checkpoint.
        paths: The paths in the checkpoint by key.

    Raises:
        ValueError: A container that is not a dict, list or tuple has a sharded tensor.

    Example:
        >>> split = Split({"epoch": 3, "state_dict": {"weight": torch.zeros(200, 200)}})
        >>> list(split.tensors), split.values["state_dict"]["weight"].device
        (['state_dict.weight'], device(type='meta'))
        >>> join(split.values, split.tensors)["state_dict"]["weight"].shape
        torch.Size([200, 200])
    """

    def __init__(self, checkpoint: Mapping[str, Any]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.paths: dict[str, Path] = {}
        self.values = _mapped(checkpoint, (), self._put_apart)

    def _put_apart(self, value: Any, path: Path) -> Any:
        if not isinstance(value, Tensor):
            if names := sharded_names(value):
                raise ValueError(
                    f"{'.'.join(map(str, path))} must be a dict, list or tuple, as it has the "
                    f"sharded tensor {names[0]!r}, got {type(value).__name__}"
                )
            return value
        if value.layout is not torch.strided or value.is_quantized or value.is_meta:
            return value  # it has no elements to address
        # Weights are apart whatever their size: the tools of torch then find all of them.
        if not is_sharded(value) and not (is_large(value) or path[:1] == ("state_dict",)):
            return _own(value)
        key = _key(path, self.tensors)
        self.tensors[key], self.paths[key] = value, path
        return torch.empty(value.shape, dtype=value.dtype, device="meta")


def join(values: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the checkpoint of a `Split` with its tensors in their places."""
    used: dict[str, Tensor] = {}

    def put_back(value: Any, path: Path) -> Any:
        if isinstance(value, Tensor) and value.is_meta:
            key = _key(path, used)
            used[key] = value
            return tensors.get(key, value)
        return value

    return _mapped(values, (), put_back)


def placeholders(values: Any) -> dict[str, tuple[Path, Tensor]]:
    """Return the path and the placeholder of each tensor by its key."""
    found: dict[str, tuple[Path, Tensor]] = {}

    def note(value: Any, path: Path) -> Any:
        if isinstance(value, Tensor) and value.is_meta:
            found[_key(path, found)] = path, value
        return value

    _mapped(values, (), note)
    return found


def _mapped(value: Any, path: Path, change: Callable[[Any, Path], Any]) -> Any:
    """Return nested containers with each leaf changed; versions of modules are kept."""
    if type(value) in (dict, OrderedDict):
        result: Any = type(value)((k, _mapped(v, (*path, k), change)) for k, v in value.items())
        if hasattr(value, "_metadata"):
            result._metadata = value._metadata
        return result
    if type(value) in (list, tuple):
        items = [_mapped(item, (*path, index), change) for index, item in enumerate(value)]
        return items if type(value) is list else tuple(items)
    return change(value, path)


def _key(path: Path, taken: Mapping[str, object]) -> str:
    """Return the dotted path, with marks if another path has the same one."""
    key = ".".join(map(str, path))
    while key in taken:
        key += "'"
    return key


def is_large(tensor: Tensor) -> bool:
    """Return whether a tensor is worth an entry of its own."""
    return tensor.numel() * tensor.element_size() >= LARGE


def _own(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU that shares no memory with a larger one."""
    copy = tensor.detach().cpu()
    whole = copy.untyped_storage().nbytes()
    return copy.clone() if whole > copy.numel() * copy.element_size() else copy
