"""Build the functions that a data loader calls, such as the one that makes a batch of samples."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from engine_dataset import pseudo_collate
from engine_registry import NotRegisteredError, make_resolver
from engine_runner._table import NESTED


def build_collate_fn(
    collate_fn: Callable[..., Any] | Mapping[str, Any] | None, key: str = "collate_fn"
) -> Any:
    """Return the function of a config, the function given, or `pseudo_collate` for None.

    Args:
        collate_fn: The function or its config.
        key: The key path of the config, for messages.

    Raises:
        NotRegisteredError: No function has that name; the message lists the closest ones.
    """
    return pseudo_collate if collate_fn is None else build_function(collate_fn, key)


def build_function(function: Any, key: str) -> Any:
    """Return the function that a config names, with the config's other keys bound.

    Args:
        function: The function or its config.
        key: The key path of the config, whose last key is one of the table.

    Raises:
        NotRegisteredError: No function has that name; the message lists the closest ones.
    """
    if not isinstance(function, Mapping):
        return function
    arguments = dict(function)
    name = key.rpartition(".")[2]
    resolve = make_resolver({name: NESTED[name].registries})
    try:
        found = resolve(arguments.pop("type"), name)
    except NotRegisteredError as error:
        error.args = (f"{key}: {error}",)
        raise
    return partial(found, **arguments) if arguments and found is not None else found
