"""Build the functions that a data loader calls, such as the one that makes a batch of samples."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from engine_dataset import pseudo_collate
from engine_runner._table import NESTED


def build_collate_fn(collate_fn: Callable[..., Any] | Mapping[str, Any] | None) -> Any:
    """Return the function of a config, the function given, or `pseudo_collate` for None.

    Raises:
        KeyError: No function has that name.
    """
    return pseudo_collate if collate_fn is None else build_function(collate_fn)


def build_function(function: Any) -> Any:
    """Return the function that a config names, with the config's other keys bound."""
    if not isinstance(function, Mapping):
        return function
    arguments = dict(function)
    kind = arguments.pop("type")
    registries = NESTED["collate_fn"].registries
    found = kind if callable(kind) else next(filter(None, (r.get(kind) for r in registries)), None)
    if found is None:
        names = sorted(name for registry in registries for name in registry.module_dict)
        raise KeyError(f"{kind!r} is not among the functions: {', '.join(names)}")
    return partial(found, **arguments) if arguments else found
