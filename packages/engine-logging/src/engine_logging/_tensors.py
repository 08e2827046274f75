"""Numbers that may still be on a device; torch is never imported here, only recognised."""

import numbers
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np


def is_tensor(value: object) -> bool:
    """Tell whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def scalar(value: Any) -> Any:
    """Return a number as it is, and a tensor without its graph.

    Raises:
        TypeError: the value is not a number.
        ValueError: a tensor or array has more than one element.
    """
    if is_tensor(value):
        if value.numel() != 1:
            raise ValueError(
                f"a scalar is a tensor of one element, not of shape {tuple(value.shape)}: "
                "reduce it with mean() or sum() first"
            )
        return value.detach() if value.requires_grad else value
    if isinstance(value, np.ndarray):
        if value.size != 1:
            raise ValueError(
                f"a scalar is an array of one element, not of shape {value.shape}: "
                "reduce it with mean() or sum() first"
            )
        return value.item()
    if isinstance(value, numbers.Real):
        return value
    raise TypeError(f"a scalar is a number, array or tensor, not {type(value).__name__}: {value!r}")


def read_tensors(values: Sequence[Any]) -> list[Any]:
    """Return the values with every tensor replaced by its number.

    The tensors of a device are stacked there and copied in one transfer.
    """
    found: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        if is_tensor(value):
            found.setdefault(value.device, []).append(index)
    read = list(values)
    for indices in found.values():
        numbers_read = _transfer([values[index] for index in indices])
        for index, number in zip(indices, numbers_read, strict=True):
            read[index] = number
    return read


def _transfer(tensors: list[Any]) -> list[Any]:
    torch = sys.modules["torch"]
    kinds: dict[Any, list[int]] = {}
    for index, tensor in enumerate(tensors):
        kinds.setdefault(tensor.dtype, []).append(index)
    stacks = [
        torch.stack([tensors[index].reshape(()) for index in group]) for group in kinds.values()
    ]
    if len(stacks) > 1:
        # Integers stay exact in double precision, which not every device has.
        wide = torch.float32 if tensors[0].device.type == "mps" else torch.float64
        stacks = [stack.to(wide) for stack in stacks]
    flat = torch.cat(stacks).tolist()
    order = [index for group in kinds.values() for index in group]
    return [number for _, number in sorted(zip(order, flat, strict=True))]
