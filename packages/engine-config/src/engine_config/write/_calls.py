"""Describe values without a literal as calls: dates, paths, arrays, tensors and the like."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine_config._lazy import import_path

# A larger array belongs to a file of its own. The text of a config is logged and stored in each
# checkpoint.
MAX_ELEMENTS: Final = 4096
_TORCH_DTYPES: Final = frozenset(
    f"torch.{name}"
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call whose result is equal to a value.

    Attributes:
        module: The module of the function.
        function: Its name in the module.
        args: The positional arguments.
        kwargs: The arguments by name.
    """

    module: str
    function: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def call_of(value: Any) -> Call | None:
    """Return the call that creates a value, or None if there is no such call.

    Only the exact classes of the table are written: a subclass may hold more than its base.
    """
    kind = type(value)
    # Compare names: a class of NumPy or PyTorch can only be here if the library is loaded, and
    # this package must not load it.
    make = _CALLS.get(f"{kind.__module__}.{kind.__qualname__}")
    if make is not None:
        return make(value)
    if isinstance(value, getattr(sys.modules.get("numpy"), "dtype", ())):
        name = dtype_name(value)
        return None if name is None else Call(module="numpy", function="dtype", args=(name,))
    return None


def plain_scalar(value: Any) -> Any:
    """Return a NumPy scalar as a number, string or bytes; return any other value unchanged."""
    generic: Any = getattr(sys.modules.get("numpy"), "generic", ())
    if not isinstance(value, generic):
        return value
    item: Any = value.item()
    # Dates of NumPy have units that Python's dates lack, and long doubles have more digits.
    return item if type(item) in (bool, int, float, complex, str, bytes) else value


def is_exact_real(value: Any) -> bool:
    """Return whether a real number of another library is equal to its float."""
    number = float(value)
    return math.isnan(number) or bool(number == value)


def dtype_name(dtype: Any) -> str | None:
    """Return the text that NumPy reads as a dtype, or None for one with fields."""
    read = sys.modules["numpy"].dtype
    for name in (dtype.name, dtype.str):
        try:
            if dtype.names is None and read(name) == dtype:
                return str(name)
        except TypeError:
            pass  # NumPy does not read its own name of a text dtype, `str96`
    return None


def _array(value: Any) -> Call | None:
    dtype = value.dtype
    name = dtype_name(dtype)
    # Other kinds hold objects, dates or fields; a larger float is a long double.
    exact = dtype.kind in "biuSU" or dtype.itemsize <= {"f": 8, "c": 16}.get(dtype.kind, 0)
    if name is None or not exact or value.size > MAX_ELEMENTS:
        return None
    if value.size == 0:  # a list of no items has lost the shape
        return Call(module="numpy", function="empty", args=(value.shape, name))
    return Call(module="numpy", function="array", args=(value.tolist(),), kwargs={"dtype": name})


def _tensor(value: Any) -> Call | None:
    dtype = value.dtype
    plain = not (value.requires_grad or value.is_sparse or value.is_quantized)
    # Reading a tensor of an accelerator would wait for the device.
    plain = plain and value.device.type == "cpu" and str(value.layout) == "torch.strided"
    if not plain or value.numel() > MAX_ELEMENTS or str(dtype) not in _TORCH_DTYPES:
        return None
    if value.numel() == 0:
        shape = tuple(value.shape)
        return Call(module="torch", function="empty", args=(shape,), kwargs={"dtype": dtype})
    return Call(module="torch", function="tensor", args=(value.tolist(),), kwargs={"dtype": dtype})


def _of_module(module: str, function: str, args: Callable[[Any], tuple[Any, ...]]) -> Any:
    return lambda value: Call(module=module, function=function, args=args(value))


def _clock(module: str, function: str, fields: tuple[str, ...]) -> Callable[[Any], Call]:
    def make(value: Any) -> Call:
        extra = {"tzinfo": value.tzinfo} if value.tzinfo is not None else {}
        if value.fold:
            extra["fold"] = value.fold
        args = tuple(getattr(value, name) for name in fields)
        return Call(module=module, function=function, args=args, kwargs=extra)

    return make


def _partial(value: Any) -> Call | None:
    # A call sets neither attributes nor arguments with such names.
    named = all(name.isidentifier() for name in value.keywords)
    if vars(value) or not named or import_path(value.func) is None:
        return None
    args, kwargs = (value.func, *value.args), value.keywords
    return Call(module="functools", function="partial", args=args, kwargs=kwargs)


_DAY: Final = ("year", "month", "day")
_TIME: Final = ("hour", "minute", "second", "microsecond")
_PATHS: Final = ("PurePosixPath", "PureWindowsPath", "PurePath")
_CALLS: Final[Mapping[str, Callable[[Any], Call | None]]] = {
    "datetime.date": _of_module(
        "datetime", "date", lambda value: (value.year, value.month, value.day)
    ),
    "datetime.datetime": _clock("datetime", "datetime", _DAY + _TIME),
    "datetime.time": _clock("datetime", "time", _TIME),
    "datetime.timedelta": _of_module(
        "datetime", "timedelta", lambda value: (value.days, value.seconds, value.microseconds)
    ),
    "datetime.timezone": _of_module("datetime", "timezone", lambda value: value.__getinitargs__()),
    "zoneinfo.ZoneInfo": lambda value: (
        Call(module="zoneinfo", function="ZoneInfo", args=(value.key,)) if value.key else None
    ),
    "decimal.Decimal": _of_module("decimal", "Decimal", lambda value: (str(value),)),
    "functools.partial": _partial,
    # The class of this system: `Path` reads back on another one too.
    "pathlib.PosixPath": _of_module("pathlib", "Path", lambda value: (str(value),)),
    "pathlib.WindowsPath": _of_module("pathlib", "Path", lambda value: (str(value),)),
    **{
        f"pathlib.{name}": _of_module("pathlib", name, lambda value: (str(value),))
        for name in _PATHS
    },
    "numpy.ndarray": _array,
    "torch.Tensor": _tensor,
    "torch.device": _of_module("torch", "device", lambda value: (str(value),)),
}
