"""What a checkpoint may hold: numbers, strings, tensors, and lists, tuples and dicts of them."""

from typing import Any

import numpy as np

from engine_logging._tensors import is_tensor


class NotPlain(Exception):
    """A value that is not plain data; its text says what was found, and where."""


def plain(value: Any, where: str = "") -> Any:
    """Return a copy of plain data; numpy's numbers become Python's.

    Raises:
        NotPlain: something else is in it.
    """
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if isinstance(value, dict):
        return {
            plain(key, f"a key of {where or 'it'}"): plain(item, f"{where}[{key!r}]")
            for key, item in value.items()
        }
    if type(value) in (list, tuple):
        return type(value)(plain(item, f"{where}[{i}]") for i, item in enumerate(value))
    if is_tensor(value):
        return value.detach().clone()
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise NotPlain(f"{kind} in {where}" if where else kind)
