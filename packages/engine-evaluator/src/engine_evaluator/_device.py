"""Move results to the CPU."""

from typing import Any

from torch import Tensor

from engine_dist import map_tensors
from engine_structures import BaseDataElement

_LEAVES = (Tensor, BaseDataElement)


def to_cpu(value: Any) -> Any:
    """Return nested containers with every tensor and data element detached and on the CPU.

    Dicts and lists are always copied, because metrics keep them and the caller may change its own.

    Args:
        value: A tensor, a data element, or dicts, lists and tuples of them; other values stay.

    Example:
        >>> import torch
        >>> to_cpu({"scores": [torch.ones(1, requires_grad=True)], "name": "a"})
        {'scores': [tensor([1.])], 'name': 'a'}
    """
    return map_tensors(_detach_to_cpu, value, leaves=_LEAVES, copy=True)


def _detach_to_cpu(leaf: Tensor | BaseDataElement) -> Any:
    return leaf.detach().cpu()
