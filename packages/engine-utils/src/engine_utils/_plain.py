"""Convert values of NumPy and PyTorch to plain Python values, without importing either."""

import math
import sys
from typing import Any

# Most values are of these types; checking them first skips the slower checks.
_PLAIN = frozenset({bool, int, float, str, type(None)})


def plain_value(value: Any, *, scalars: bool = False) -> Any:
    """Return tensors, arrays, NumPy numbers, sets and ranges as Python values.

    Containers are converted recursively: dicts stay dicts; lists, tuples and sets become lists.
    Dict keys and values of other types are returned unchanged.

    Args:
        value: The value to convert. A tensor of an accelerator is copied to the CPU.
        scalars: Return an array or tensor of one element as a number, whatever its shape.

    Example:
        >>> plain_value({"sizes": (1, 2), "names": {"b", "a"}})
        {'sizes': [1, 2], 'names': ['a', 'b']}
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float):  # NumPy's float64 is one
        return float(value)
    if isinstance(value, dict):
        return {key: plain_value(item, scalars=scalars) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item, scalars=scalars) for item in value]
    if isinstance(value, set | frozenset):
        return _members([plain_value(item, scalars=scalars) for item in value])
    if isinstance(value, range):
        return list(value)
    return _array(value, scalars)


def finite_value(value: Any) -> Any:
    """Return a value with ``None`` for NaN and infinity, which JSON cannot represent.

    Args:
        value: A number, or dicts, lists and tuples of values. Other values are returned unchanged.

    Example:
        >>> finite_value({"loss": float("nan"), "scores": [0.5, float("inf")]})
        {'loss': None, 'scores': [0.5, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_finite_key(key): finite_value(item) for key, item in value.items()}
    return [finite_value(item) for item in value] if isinstance(value, list | tuple) else value


def _finite_key(key: Any) -> Any:
    # JSON keys are strings, so the name of such a number is valid as a key.
    return key if not isinstance(key, float) or math.isfinite(key) else str(float(key))


def _members(values: list[Any]) -> list[Any]:
    """Return the members of a set in an order that is the same in each process."""
    try:
        return sorted(values)
    except TypeError:
        # The members have several types. Sorted anyway: the order of a set of strings depends on
        # PYTHONHASHSEED, which differs between processes.
        return sorted(values, key=lambda value: (type(value).__name__, repr(value)))


def _array(value: Any, scalars: bool) -> Any:
    # A tensor or array can only exist if its library has been imported.
    tensor = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(value, tensor):
        value = value.detach()
        return value.item() if scalars and value.numel() == 1 else value.tolist()
    numpy = sys.modules.get("numpy")
    # While another thread is importing numpy, its classes may be missing.
    arrays = (getattr(numpy, "ndarray", ()), getattr(numpy, "generic", ()))
    if isinstance(value, arrays):
        return value.item() if scalars and value.size == 1 else value.tolist()
    return value
