"""Moving nested data to a device, without copying what is already there."""

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engine_structures import BaseDataElement


def to_device(data: Any, device: torch.device, non_blocking: bool = False) -> Any:
    """Return ``data`` with every tensor and data element on ``device``.

    Mappings, sequences and named tuples keep their type. A container in which nothing had to move
    is returned as it is, not as a copy. Values of other types pass unchanged.

    Args:
        data: Nested containers of tensors and anything else.
        device: Where to.
        non_blocking: Whether copies from pinned memory may run while the program goes on.

    Example:
        >>> batch = {"inputs": [torch.zeros(2)], "name": "a"}
        >>> to_device(batch, torch.device("cpu")) is batch
        True
    """
    if isinstance(data, Tensor):
        return data if data.device == device else data.to(device, non_blocking=non_blocking)
    if data is None or isinstance(data, str | bytes | int | float):
        return data
    if isinstance(data, Mapping):
        return _mapping_to_device(data, device, non_blocking)
    if isinstance(data, Sequence):
        values = [to_device(value, device, non_blocking) for value in data]
        if all(new is old for new, old in zip(values, data, strict=True)):
            return data
        if hasattr(data, "_fields"):
            return type(data)(*values)
        return values if type(data) is list else type(data)(values)  # type: ignore[call-arg]
    if isinstance(data, BaseDataElement):
        return data if _is_on(data, device) else data.to(device, non_blocking=non_blocking)
    return data


def _mapping_to_device(
    data: Mapping[Any, Any], device: torch.device, non_blocking: bool
) -> Mapping[Any, Any]:
    items = {key: to_device(value, device, non_blocking) for key, value in data.items()}
    if all(items[key] is value for key, value in data.items()):
        return data
    if type(data) is dict:
        return items
    if isinstance(data, MutableMapping):  # a copy keeps what else a defaultdict or the like has
        moved = copy.copy(data)
        moved.update(items)
        return moved
    return type(data)(items)  # type: ignore[call-arg]  # as mappings are usually built


def _is_on(value: Any, device: torch.device) -> bool:
    """Return whether every tensor among the fields of a data element is on ``device``."""
    if isinstance(value, BaseDataElement):
        return all(_is_on(field, device) for field in value.values())
    return not isinstance(value, Tensor) or value.device == device
