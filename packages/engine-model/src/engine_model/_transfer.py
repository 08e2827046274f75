"""Move nested data to a device, without copying data that is already there."""

from typing import Any

import torch
from torch import Tensor

from engine_dist import map_tensors
from engine_structures import BaseDataElement


def to_device(data: Any, device: torch.device, non_blocking: bool = False) -> Any:
    """Return ``data`` with every tensor and data element on ``device``.

    Containers keep their type. A container in which nothing has to move is returned unchanged, and
    so are values of other types. Data elements are always new ones, so that a model that changes
    them does not change those of the dataset. Tensors that are on the device are not copied.

    Args:
        data: Nested containers of tensors, data elements and anything else.
        device: The target device.
        non_blocking: Whether copies from pinned memory are asynchronous.

    Example:
        >>> batch = {"inputs": [torch.zeros(2)], "name": "a"}
        >>> to_device(batch, torch.device("cpu")) is batch
        True
    """

    def move(value: Tensor | BaseDataElement) -> Tensor | BaseDataElement:
        if isinstance(value, Tensor) and value.device == device:
            return value
        return value.to(device, non_blocking=non_blocking)

    # A data element is moved as a whole, by its own `to`.
    return map_tensors(move, data, leaves=(Tensor, BaseDataElement))
