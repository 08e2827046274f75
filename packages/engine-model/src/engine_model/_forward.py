"""Call a model with the parts of a batch as arguments."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def run_forward(model: nn.Module, data: Any, mode: str) -> Any:
    """Call ``model`` with a dict as keyword arguments, or a list as positional arguments.

    Args:
        model: The model or its wrapper.
        data: The batch that the data preprocessor returned.
        mode: The argument ``mode`` of the call.

    Raises:
        TypeError: ``data`` is not a dict, list or tuple.
    """
    # Check for dict first: it is much faster than for Mapping, and most batches are dicts.
    if isinstance(data, dict | Mapping):
        return model(**data, mode=mode)
    if isinstance(data, list | tuple):
        return model(*data, mode=mode)
    raise TypeError(
        f"the data preprocessor must return a dict, list or tuple of arguments for forward, "
        f"got {type(data).__name__}"
    )
