"""Build the function that makes a batch of samples."""

from collections.abc import Callable, Mapping
from typing import Any

from engine_dataset import pseudo_collate
from engine_runner.parts._data import _build_function


def build_collate_fn(collate_fn: Callable[..., Any] | Mapping[str, Any] | None) -> Any:
    """Return the function of a config, the function given, or `pseudo_collate` for None.

    Raises:
        KeyError: No function has that name.
    """
    return pseudo_collate if collate_fn is None else _build_function(collate_fn)
