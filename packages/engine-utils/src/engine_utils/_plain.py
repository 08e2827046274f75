"""Convert values of NumPy and PyTorch to plain Python values, without importing either."""

import sys
from typing import Any

# Most values are these; checking them first skips the other questions.
_PLAIN = frozenset({bool, int, float, str, type(None)})


def plain_value(value: Any, *, scalars: bool = False) -> Any:
    """Return tensors, arrays, NumPy numbers, sets and ranges as Python values.

    Dicts, lists and tuples are converted recursively, and tuples become lists. Any other value is
    returned unchanged.

    Args:
        value: The value to convert. A tensor of an accelerator is copied to the CPU.
        scalars: Return an array or tensor of one element, of any shape, as its number.

    Example:
        >>> plain_value({"sizes": (1, 2), "names": {"b", "a"}})
        {'sizes': [1, 2], 'names': ['a', 'b']}
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {key: plain_value(item, scalars=scalars) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item, scalars=scalars) for item in value]
    if isinstance(value, set | frozenset):
        return _members(value)
    if isinstance(value, range):
        return list(value)
    return _array(value, scalars)


def _members(values: set[Any] | frozenset[Any]) -> list[Any]:
    """Return the members sorted where they can be compared, so that equal sets give equal text."""
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _array(value: Any, scalars: bool) -> Any:
    # A value of a library exists only where the library has been imported.
    tensor = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(value, tensor):
        value = value.detach()
        return value.item() if scalars and value.numel() == 1 else value.tolist()
    numpy = sys.modules.get("numpy")
    # During the import of numpy by another thread, the classes are not there yet.
    arrays = (getattr(numpy, "ndarray", ()), getattr(numpy, "generic", ()))
    if isinstance(value, arrays):
        return value.item() if scalars and value.size == 1 else value.tolist()
    return value
