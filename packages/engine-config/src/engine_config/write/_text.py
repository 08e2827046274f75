"""Write a config as Python text that reads back equal.

This small printer handles data only. It takes milliseconds; a formatter for all of Python takes
seconds.
"""

from __future__ import annotations

import enum
import keyword
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine_config._dict import ConfigDict
from engine_config._lazy import import_path
from engine_config.read._python import CODE
from engine_config.read._substitution import escaped
from engine_config.write._calls import Call, call_of, is_exact_real, plain_scalar
from engine_config.write._rejected import Rejected, shortened

WIDTH: Final = 100
_ENDLESS: Final = 1 << 60
_WHOLE: Final = frozenset(["numpy", "torch"])  # `numpy.array(…)` reads better than `array(…)`
_INDENT: Final = "    "
# Names that the written text uses. A top-level key of the same name would hide them in later lines.
_USED_NAMES: Final = frozenset(
    ["dict", "set", "frozenset", "float", "complex", "range", "slice", "bytearray", "globals"]
)


def python_text(config: ConfigDict, *, strict: bool = False, wrapped: bool = True) -> str:
    """Return a config as Python text: one assignment per key, in the order of the keys.

    Values that need an import are written with it: classes, functions, enums, dates, paths, dtypes,
    and arrays and tensors on the CPU of up to 4096 elements.

    Args:
        config: The config.
        strict: Whether to raise for a value that has no text which reads back equal (an open file,
            a lambda). If False, the string of its shortened ``repr`` is written.
        wrapped: Whether to break long values into lines.

    Raises:
        Rejected: ``strict`` is true, and there is such a value.
    """
    return _Printer(frozenset(map(str, dict.keys(config))), strict, wrapped).config(config)


class _Printer:
    """Write one config.

    Args:
        keys: The top-level keys; an imported name must not be equal to one.
        strict: See `python_text`.
        wrapped: See `python_text`.
    """

    def __init__(self, keys: frozenset[str], strict: bool, wrapped: bool) -> None:
        self._keys = keys
        self._wrapped = wrapped
        self._strict = strict
        self._imports: dict[tuple[str, str], str] = {}
        self._braces = bool(keys & {"dict"})

    def config(self, config: ConfigDict) -> str:
        lines: list[str] = []
        awkward: dict[Any, Any] = {}
        for key, value in dict.items(config):
            if _is_name(key) and key not in _USED_NAMES and not _is_imported(value):
                lines.append(f"{key} = {self.value(value, len(key) + 3, 0)}\n")
            else:
                awkward[key] = value
        if awkward:
            # The dict is evaluated before its keys are set, so a key cannot hide a name that the
            # text uses. A class in this dict is a key of the config; an assigned class would be
            # skipped.
            self._braces = True
            lines.append(f"globals().update({self.value(awkward, 17, 0)})\n")
        return self._import_lines() + "".join(lines)

    def _import_lines(self) -> str:
        lines = []
        for (module, path), name in sorted(self._imports.items()):
            statement = f"from {module} import {path}" if path else f"import {module}"
            same = name == (path or module)
            lines.append(f"{statement}\n" if same else f"{statement} as {name}\n")
        return "".join([*lines, "\n"]) if lines else ""

    def value(self, value: Any, column: int, depth: int) -> str:
        """Return the text of a value that begins at a column, on one line if it fits."""
        kind = type(value)
        writer = _SCALARS.get(kind)
        if writer is not None:
            return writer(value)
        # An empty value cannot be split over lines. Only containers: an array has no truth value.
        empty = isinstance(value, dict | list | tuple) and not value
        room = WIDTH if empty else WIDTH - column - 2
        if not self._wrapped:
            room = _ENDLESS
        flat = self._flat(value, room)
        return flat if flat is not None else self._tall(value, depth)

    def _flat(self, value: Any, room: int) -> str | None:
        """Return the text on one line, or None if it is longer than ``room``."""
        kind = type(value)
        writer = _SCALARS.get(kind)
        if writer is not None:
            text: str | None = writer(value)
        elif isinstance(value, dict):
            text = self._flat_dict(value, room)
        elif kind is list or kind is tuple:
            text = self._flat_sequence(value, room)
        elif call := call_of(value):
            text = self._flat_call(call, room)
        else:
            text = self._other(value)
        return text if text is not None and len(text) <= room else None

    def _flat_dict(self, value: dict[Any, Any], room: int) -> str | None:
        call = self._as_call(value)
        result: list[str] = []
        for key, item in dict.items(value):
            text = self._flat(item, room)
            if text is None:
                return None
            # Stop as soon as the line is too long. Otherwise each level of a deep dict would format
            # all levels below it, which takes quadratic time.
            result.append(f"{key}={text}" if call else f"{self._key(key)}: {text}")
            room -= len(result[-1]) + 2
            if room < 0:
                return None
        return f"dict({', '.join(result)})" if call else f"{{{', '.join(result)}}}"

    def _flat_sequence(self, value: list[Any] | tuple[Any, ...], room: int) -> str | None:
        result: list[str] = []
        for item in value:
            text = self._flat(item, room)
            if text is None:
                return None
            result.append(text)
            room -= len(text) + 2
            if room < 0:
                return None
        if type(value) is list:
            return f"[{', '.join(result)}]"
        return f"({result[0]},)" if len(result) == 1 else f"({', '.join(result)})"

    def _flat_call(self, call: Call, room: int) -> str | None:
        named = [(f"{name}=", item) for name, item in call.kwargs.items()]
        result: list[str] = []
        for name, item in (*(("", item) for item in call.args), *named):
            text = self._flat(item, room)
            if text is None:
                return None
            result.append(f"{name}{text}")
        return f"{self._import(call.module, call.function)}({', '.join(result)})"

    def _tall(self, value: Any, depth: int) -> str:
        """Return the text with one item per line."""
        inner = depth + 1
        start, end = f"\n{_INDENT * inner}", f"\n{_INDENT * depth}"
        column = len(start) - 1
        if isinstance(value, dict):
            call = self._as_call(value)
            names = [f"{key}=" if call else f"{self._key(key)}: " for key in dict.keys(value)]
            items = [
                name + self.value(item, column + len(name), inner)
                for name, item in zip(names, dict.values(value), strict=True)
            ]
            opening, closing = ("dict(", ")") if call else ("{", "}")
        elif type(value) in (list, tuple):
            if len(value) > 8 and all(type(item) in (int, float) for item in value):
                items = _filled([_SCALARS[type(item)](item) for item in value], WIDTH - column)
            else:
                items = [self.value(item, column, inner) for item in value]
            opening, closing = ("[", "]") if type(value) is list else ("(", ")")
        elif made := call_of(value):
            items = [self.value(item, column, inner) for item in made.args]
            items += [
                f"{name}={self.value(item, column + len(name) + 1, inner)}"
                for name, item in made.kwargs.items()
            ]
            opening, closing = f"{self._import(made.module, made.function)}(", ")"
        else:
            return self._other(value)
        return f"{opening}{start}{f',{start}'.join(items)},{end}{closing}"

    def _as_call(self, value: dict[Any, Any]) -> bool:
        return not self._braces and all(map(_is_name, dict.keys(value)))

    def _key(self, key: Any) -> str:
        return self._flat(key, _ENDLESS) or ""

    def _other(self, value: Any) -> str:
        value = plain_scalar(value)
        if type(value) in _SCALARS:
            return _SCALARS[type(value)](value)
        if isinstance(value, set | frozenset):
            return self._set(value)
        # An enum of int or str is equal to its value, which is written below.
        if not isinstance(value, int | str) and (path := import_path(value)):
            return self._import(*path, whole=not isinstance(value, (*CODE, enum.Enum)))
        for base, writer in _SUBCLASSES.items():
            if isinstance(value, base) and (base is not numbers.Real or is_exact_real(value)):
                return writer(value)
        if isinstance(value, list | tuple):
            plain = list(value) if isinstance(value, list) else tuple(value)
            return self._flat_sequence(plain, _ENDLESS) or ""
        if self._strict:
            raise Rejected(value)
        return _string(shortened(value))

    def _set(self, value: set[Any] | frozenset[Any]) -> str:
        # Sorted, because sets have no order, but equal sets must give equal text.
        items = ", ".join(sorted(self._key(item) for item in value))
        if isinstance(value, frozenset):
            return f"frozenset({{{items}}})" if items else "frozenset()"
        return f"{{{items}}}" if items else "set()"

    def _import(self, module: str, path: str, *, whole: bool = False) -> str:
        """Return an expression for an importable object, and add the import for it.

        Args:
            module: The module.
            path: The path of the object in it; empty for the module itself.
            whole: Whether to import the module. An imported name that is not code, such as a
                dtype, would be read back as a key of the config.
        """
        if path and (whole or module in _WHOLE):
            return f"{self._import(module, '')}.{path}"
        first, _, rest = path.partition(".")
        name = self._imports.get((module, first))
        if name is None:
            name = short = first or module.rpartition(".")[2]
            taken = {*self._imports.values(), *self._keys, *_USED_NAMES}
            number = 1
            while name in taken:
                number += 1
                name = f"{short}_{number}"
            self._imports[module, first] = name
        return f"{name}.{rest}" if rest else name


def _filled(texts: list[str], width: int) -> list[str]:
    """Join numbers to lines of full width: a hundred anchors must not take a hundred lines."""
    lines: list[str] = []
    line = ""
    for text in texts:
        if line and len(line) + len(text) + 3 > width:
            lines.append(line)
            line = text
        else:
            line = f"{line}, {text}" if line else text
    return [*lines, line]


def _is_imported(value: Any) -> bool:
    # Containers first: they are the most frequent values, and have no path.
    if isinstance(value, int | float | str | dict | list | tuple):
        return False
    return import_path(value) is not None


def _is_name(key: Any) -> bool:
    # ASCII only, because Python normalizes Unicode identifiers: another key could be read back.
    return (
        type(key) is str
        and key.isidentifier()
        and key.isascii()
        and not keyword.iskeyword(key)
        and key != "__debug__"
    )


def _string(value: str) -> str:
    # Escaped: otherwise {{fileDirname}} in a string would be replaced when the text is read again.
    return escaped(str.__repr__(value))


def _float(value: float) -> str:
    return float.__repr__(value) if math.isfinite(value) else f"float('{float.__repr__(value)}')"


def _integer(value: int) -> str:
    # Hexadecimal, because Python raises for decimal integers of more than 4300 digits.
    return int.__repr__(value) if value.bit_length() < 10_000 else hex(value)


def _complex(value: complex) -> str:
    return f"complex({_float(value.real)}, {_float(value.imag)})"


_SCALARS: Final[Mapping[type, Callable[[Any], str]]] = {
    str: _string,
    int: _integer,
    bool: repr,
    float: _float,
    type(None): repr,
    bytes: repr,
    bytearray: repr,
    complex: _complex,
    type(...): lambda _: "...",
    range: repr,
    slice: repr,
}
# Subclasses are written by the writer of their base: their repr may be `<Color.RED: 1>`.
_SUBCLASSES: Final[Mapping[type, Callable[[Any], str]]] = {
    str: _string,
    bytes: bytes.__repr__,
    numbers.Integral: lambda value: _integer(int(value)),  # NumPy's integers are not `int`
    numbers.Real: lambda value: _float(float(value)),
}
