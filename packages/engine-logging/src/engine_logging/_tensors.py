"""Read numbers from tensors, which may be on a device. Torch is never imported here."""

import numbers
import operator
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_is_cpu = operator.attrgetter("is_cpu")


def is_tensor(value: object) -> bool:
    """Return whether a value is a torch tensor, without importing torch."""
    # () if torch is not imported, or another thread is importing it: nothing is an instance of ().
    return isinstance(value, getattr(sys.modules.get("torch"), "Tensor", ()))


def scalar(value: Any) -> Any:
    """Check that a value is a number, and return it; a tensor is detached from its graph.

    Args:
        value: A number, or a tensor or array of one element.

    Raises:
        TypeError: The value is not a real number.
        ValueError: A tensor or array has more than one element.
    """
    # `is_tensor` written out to save the call: this runs for every scalar of every iteration.
    tensor: Any = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(value, tensor):
        if value.numel() != 1:
            raise ValueError(
                f"a scalar must be a tensor of one element, got shape {tuple(value.shape)}; "
                "reduce it with mean() or sum() first"
            )
        return value.detach() if value.requires_grad else value
    if isinstance(value, int | float):
        return value
    if isinstance(value, np.ndarray):
        if value.size != 1:
            raise ValueError(
                f"a scalar must be an array of one element, got shape {value.shape}; "
                "reduce it with mean() or sum() first"
            )
        value = value.item()
    if isinstance(value, numbers.Real):
        return value
    raise TypeError(
        "a scalar must be a real number, or an array or tensor of one element, got "
        f"{type(value).__name__}: {value!r:.200}"
    )


def read_tensors(values: Sequence[Any]) -> list[Any]:
    """Return the values with every tensor replaced by its number.

    The tensors of an accelerator are stacked there and copied in one transfer, because each
    transfer waits for the device.
    """
    if not any(map(is_tensor, values)):
        return list(values)
    torch = sys.modules["torch"]
    if set(map(type, values)) == {torch.Tensor} and all(map(_is_cpu, values)):
        return list(map(torch.Tensor.item, values))  # the usual case, twice as fast
    # Grouped by device, then by dtype: only tensors of one dtype can be stacked.
    found: dict[Any, dict[Any, list[int]]] = {}
    read = list(values)
    for index, value in enumerate(values):
        if isinstance(value, torch.Tensor):
            if value.is_cpu:
                read[index] = value.item()
            else:
                found.setdefault(value.device, {}).setdefault(value.dtype, []).append(index)
    for device, kinds in found.items():
        stacks = [torch.stack([_flat(read[i]) for i in group]) for group in kinds.values()]
        if len(stacks) > 1:
            # Double precision keeps integers exact (up to 2**53), but MPS does not support it.
            wide = torch.float32 if device.type == "mps" else torch.float64
            stacks = [stack.to(wide) for stack in stacks]
        order = [index for group in kinds.values() for index in group]
        for index, number in zip(order, torch.cat(stacks).tolist(), strict=True):
            read[index] = number
    return read


def _flat(tensor: Any) -> Any:
    return tensor if tensor.ndim == 0 else tensor.reshape(())
