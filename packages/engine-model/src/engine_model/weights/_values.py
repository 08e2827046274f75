"""Rebuild plain values of other libraries from their pickles: numbers, arrays, dates, mappings.

Each function stores or converts its arguments, and calls nothing that the file chooses.
"""

import datetime
import math
import struct
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from engine_model.weights._placeholder import ForeignObject, foreign_class

# The codes of numpy's dtypes, and the codes of the same types in the module struct.
_NUMBERS = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}
_MODULES = ("numpy.core", "numpy._core")  # numpy 2 renamed it


class UnreadArray(ForeignObject):
    """A NumPy array between its creation and the operation that sets its values."""

    class_name = "numpy.ndarray"


class WrongSizeError(ValueError):
    """An array has another number of values than its shape says."""


def array_of(state: object) -> "np.ndarray[Any, Any] | None":
    """Return the array of a state ``(version, shape, dtype, is_fortran, data)``; else None.

    Raises:
        WrongSizeError: The data has too few or too many values.
    """
    match state:
        case (int(), tuple(shape), ForeignObject() as dtype, is_fortran, bytes(data)):
            return _filled(data, dtype, shape, "F" if is_fortran else "C")
        case _:
            return None


def _filled(
    data: bytes, dtype: ForeignObject, shape: tuple[Any, ...], order: Any
) -> "np.ndarray[Any, Any] | None":
    code = _dtype_of(dtype)
    if code is None or not all(isinstance(size, int) for size in shape):
        return None
    if len(data) != code.itemsize * math.prod(shape):
        raise WrongSizeError("has an array with too few or too many values")
    # A copy, because an array on top of bytes is read-only.
    return np.frombuffer(data, code).reshape(shape, order=order).copy()


def _dtype_of(dtype: ForeignObject) -> "np.dtype[Any] | None":
    """Return the dtype of numbers or texts; None for any other."""
    code = dtype.args[0] if dtype.args else None
    if not isinstance(code, str):
        return None
    is_text = code[:1] in ("U", "S") and code[1:].isdecimal() and 0 < int(code[1:]) < 1 << 16
    if code not in (*_NUMBERS, "c8", "c16") and not is_text:
        return None
    # The state of a dtype begins with a version, then its byte order: ``(3, ">", ...)``.
    order = ">" if isinstance(dtype.state, tuple) and ">" in dtype.state[:2] else "<"
    return np.dtype(code).newbyteorder(order)  # type: ignore[arg-type]  # one of two texts


def _scalar(dtype: object, data: object = b"") -> object:
    """Convert a NumPy scalar to a Python value; its dtype is a placeholder here."""
    code = _dtype_of(dtype) if isinstance(dtype, ForeignObject) else None
    if code is None or not isinstance(data, bytes) or len(data) != code.itemsize:
        return foreign_class("numpy", "scalar")(dtype, data)
    if code.kind in "biuf":
        order = ">" if code.byteorder == ">" else "<"
        return struct.unpack(order + _NUMBERS[code.str[1:]], data)[0]
    return np.frombuffer(data, code)[0].item()


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> object:
    """Return an array of pickle protocol 5."""
    match data, dtype, shape, order:
        case (bytes() | bytearray(), ForeignObject(), tuple(), "C" | "F"):
            found = _filled(bytes(data), dtype, shape, order)
            if found is not None:
                return found
    return foreign_class("numpy", "ndarray")(data, dtype, shape, order)


def _no_items(*_factory: object) -> dict[Any, Any]:
    """Return a dict in place of a `defaultdict`, whose factory could be any callable."""
    return {}


def _no_bytes(*content: object) -> object:
    """Return empty bytes, which protocol 2 writes as a call without arguments."""
    return foreign_class("builtins", "bytes")(*content) if content else b""


def _mapping(*items: object) -> dict[Any, Any]:
    """Return a dict in place of a config's, whose class stores the items in either way."""
    return dict(items[0]) if items and isinstance(items[0], dict) else {}


def _items(items: object = (), *_most: object) -> list[Any]:
    """Return a list in place of a deque."""
    return list(items) if isinstance(items, list | tuple) else []


def _joined(kind: type[PurePosixPath | PureWindowsPath]) -> Callable[..., Any]:
    def text(*parts: object) -> object:
        """Return a path as text."""
        if all(isinstance(part, str) for part in parts):
            return str(kind(*parts))  # type: ignore[arg-type]  # checked
        return foreign_class("pathlib", kind.__name__)(*parts)

    return text


def _dated(name: str) -> Callable[..., Any]:
    kind = getattr(datetime, name)

    def build(*args: object) -> object:
        """Return a date or time; of one that cannot be built, a placeholder."""
        try:
            return kind(*args)
        except (TypeError, ValueError, OverflowError):
            # Its time zone may be an object of another library.
            return foreign_class("datetime", name)(*args)

    return build


VALUES: dict[tuple[str, str], Callable[..., Any]] = {
    **{(module, "bytes"): _no_bytes for module in ("builtins", "__builtin__")},
    ("collections", "defaultdict"): _no_items,
    ("collections", "deque"): _items,
    **{(f"{module}.multiarray", "scalar"): _scalar for module in _MODULES},
    **{(f"{module}.multiarray", "_reconstruct"): UnreadArray for module in _MODULES},
    **{(f"{module}.numeric", "_frombuffer"): _from_buffer for module in _MODULES},
    **{
        ("datetime", name): _dated(name)
        for name in ("date", "datetime", "time", "timedelta", "timezone")
    },
    **{
        (module, f"{pure}{kind.__name__.removeprefix('Pure')}"): _joined(kind)
        for module in ("pathlib", "pathlib._local")  # Python 3.13 moved it
        for kind in (PurePosixPath, PureWindowsPath)
        for pure in ("", "Pure")
    },
    # A config is a dict with attributes.
    ("mmengine.config.config", "ConfigDict"): _mapping,
    ("mmcv.utils.config", "ConfigDict"): _mapping,
    ("addict.addict", "Dict"): _mapping,
    ("engine_config._dict", "_rebuild"): _mapping,
}
"""What rebuilds the values of a class or function, by its module and name in the file."""
