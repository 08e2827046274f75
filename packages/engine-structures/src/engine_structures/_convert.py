"""Convert the values of fields, like the methods of a tensor do."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def call_method(name: str, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Return a function that calls a method of a value, or of each value in nested containers.

    Values without that method stay unchanged.
    """

    def convert(value: Any) -> Any:
        method = getattr(value, name, None)
        return value if method is None else method(*args, **kwargs)

    return through_containers(convert)


def through_containers(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that applies ``convert`` inside dicts, lists and tuples too."""

    def walk(value: Any) -> Any:
        # Tensors first: most fields are tensors, for which the other checks would take time.
        if type(value) is torch.Tensor:
            return convert(value)
        if isinstance(value, dict):
            made = copy.copy(value)  # keeps the class and the attributes of a subclass
            for key, item in value.items():
                made[key] = walk(item)
            return made
        # The constructor of a named tuple takes separate items; that of other tuples takes an
        # iterable.
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(walk(item) for item in value))
        if isinstance(value, list | tuple):
            return type(value)(walk(item) for item in value)
        return convert(value)

    return walk


def to_numpy(value: Any) -> Any:
    """Convert a tensor to an array on the CPU, without gradient; return other values unchanged."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return value.numpy() if hasattr(value, "numpy") else value


def to_tensor(value: Any) -> Any:
    """Convert an array to a tensor that shares its memory; return other values unchanged."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return value.to_tensor() if hasattr(value, "to_tensor") else value


def duplicate(value: Any) -> Any:
    """Copy a value; a tensor stays in its autograd graph, as `torch.Tensor.clone` does."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return value.clone() if hasattr(value, "clone") else copy.deepcopy(value)


def as_integer(value: object) -> int | None:
    """Return an integer of Python or NumPy, or of a tensor or array without dimensions.

    Returns:
        The integer; ``None`` for every other value, booleans included.
    """
    if isinstance(value, torch.Tensor):
        if value.ndim or value.is_floating_point() or value.is_complex():
            return None
        value = value.item()
    elif isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return None
    return int(value)
