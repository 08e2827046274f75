"""Moving results to the CPU."""

from collections.abc import Mapping
from typing import Any

import torch

from engine_structures import BaseDataElement

# Most results are these; telling them first spares them the other questions.
_PLAIN = frozenset({bool, int, float, str, type(None)})


def to_cpu(value: Any) -> Any:
    """Copies tensors and data elements in nested dicts, lists and tuples to the CPU, detached."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, torch.Tensor | BaseDataElement):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {key: to_cpu(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(to_cpu, value))
    if isinstance(value, list | tuple):
        return type(value)(map(to_cpu, value))
    return value
