"""Calling a model with the parts of a batch as arguments."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def run_forward(model: nn.Module, data: Any, mode: str) -> Any:
    """Call ``model`` with the entries of a dict as keywords, or the items of a list as positions.

    Args:
        model: What to call.
        data: The batch from the data preprocessor.
        mode: Passed on as ``mode``.

    Raises:
        TypeError: If ``data`` is no dict, list or tuple.
    """
    if isinstance(data, dict | Mapping):
        return model(**data, mode=mode)
    if isinstance(data, list | tuple):
        return model(*data, mode=mode)
    raise TypeError(
        f"the data preprocessor must return a dict, list or tuple, whose parts become the "
        f"arguments of forward; it returned a {type(data).__name__}"
    )
