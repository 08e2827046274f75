"""Replace the values of nested containers that meet a condition."""

from collections.abc import Callable, Mapping
from typing import Any


def apply_to(data: Any, expr: Callable[[Any], object], apply_func: Callable[[Any], object]) -> Any:
    """Replace each value for which a condition is true, also in nested containers.

    Dicts, lists, tuples and named tuples are searched, and copied with their type. A container for
    which the condition is true is replaced itself, and not searched.

    Args:
        data: The containers and values.
        expr: The condition, called with each value.
        apply_func: Returns the replacement of a value.

    Returns:
        The copy; a value that no container holds is replaced or returned as it is.

    Example:
        >>> apply_to({"a": [1, "x"], "b": (2.5, 3)}, lambda value: type(value) is int, str)
        {'a': ['1', 'x'], 'b': (2.5, '3')}
    """
    if expr(data):
        return apply_func(data)
    if isinstance(data, Mapping):
        items = {key: apply_to(value, expr, apply_func) for key, value in data.items()}
        return items if type(data) is dict else _same_mapping(data, items)
    if isinstance(data, list | tuple):
        values = [apply_to(value, expr, apply_func) for value in data]
        return type(data)(*values) if hasattr(data, "_fields") else type(data)(values)
    return data


def _same_mapping(data: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """Return a copy of a mapping with other values; its constructor may take other arguments."""
    from copy import copy  # rarely needed

    new: Any = copy(data)  # keeps what the mapping holds beside its items, as a defaultdict does
    for key, value in items.items():
        new[key] = value
    return new
