"""Merge dicts so that `torch.fx.symbolic_trace` records one node."""

from typing import Any

from torch.fx import Proxy
from torch.overrides import handle_torch_function


def merge_dict(*args: dict[Any, Any]) -> dict[Any, Any]:
    """Return a new dict with the entries of all ``args``; later values overwrite earlier ones.

    `torch.fx.symbolic_trace` cannot trace `dict.update`. It records this function as one node.

    Args:
        *args: The dicts.

    Example:
        >>> merge_dict({"a": 1, "b": 2}, {"b": 3})
        {'a': 1, 'b': 3}
    """
    traced = tuple(arg for arg in args if isinstance(arg, Proxy))
    if traced:
        node: dict[Any, Any] = handle_torch_function(merge_dict, traced, *args)
        return node
    merged: dict[Any, Any] = {}
    for arg in args:
        merged.update(arg)
    return merged
