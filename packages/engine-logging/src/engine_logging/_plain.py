"""Check plain data for a checkpoint: numbers, strings, tensors, and containers of them.

This differs from `engine_utils.plain_value`, which converts tensors and tuples to lists and returns
unknown values unchanged. A checkpoint keeps tensors and tuples, and must not hold a value that
``torch.load(weights_only=True)`` rejects.
"""

from typing import Any

import numpy as np

from engine_logging._tensors import is_tensor


class NotPlain(Exception):
    """A value is not plain data; the message names its type and position."""


def plain(value: Any, where: str = "") -> Any:
    """Return a copy of plain data; numbers of numpy become Python numbers.

    Args:
        value: The data.
        where: Its position, for the message.

    Raises:
        NotPlain: The data holds a value of another type.
    """
    # By exact type: a subclass of a plain type would be pickled as a class.
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
