"""Turns the plain values of one file into ConfigDicts whose keys are marked with their lines."""

from __future__ import annotations

from typing import Any, Final

from engine_config._dict import ConfigDict, marks_of
from engine_config._errors import ConfigParseError
from engine_config._lines import Lines
from engine_config._origin import Mark, Source

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 2_000_000


class Attacher:
    """One pass over the values of a file, whose containers it copies.

    Args:
        source: the file the values were read from.
        line: the line of what has no known line.
    """

    def __init__(self, source: Source, *, line: int = 0) -> None:
        self._source, self._line = source, line
        self._left = MAX_VALUES  # aliases in YAML can make a short file mean billions of values

    def root(self, values: dict[Any, Any], names: dict[object, Lines]) -> ConfigDict:
        """Return the config of a file, given the lines of its top-level names."""
        return self._dict(values, Lines(self._line, names), self._line, 0)

    def _dict(
        self, value: dict[Any, Any], lines: Lines | None, line: int, depth: int
    ) -> ConfigDict:
        new = ConfigDict()
        marks, old = marks_of(new), marks_of(value) if isinstance(value, ConfigDict) else {}
        known = lines.children if lines is not None and isinstance(lines.children, dict) else {}
        for key, item in dict.items(value):
            part = known.get(key)
            copied, mark = self._value(item, part, part.line if part else line, depth + 1)
            dict.__setitem__(new, key, copied)
            marks[key] = mark if part is not None or key not in old else old[key]
        return new

    def _value(self, value: Any, lines: Lines | None, line: int, depth: int) -> tuple[Any, Mark]:
        kind = type(value)
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise self._too_much(line, depth)
        if isinstance(value, dict):
            return self._dict(value, lines, line, depth), Mark(self._source, line)
        if kind is list or kind is tuple:
            return self._sequence(value, lines, line, depth)
        return value, Mark(self._source, line)

    def _sequence(self, value: Any, lines: Lines | None, line: int, depth: int) -> tuple[Any, Mark]:
        known = lines.children if lines is not None and isinstance(lines.children, list) else []
        same = len(known) == len(value)
        items, marks = [], []
        for index, item in enumerate(value):
            part = known[index] if same else None
            copied, mark = self._value(item, part, part.line if part else line, depth + 1)
            items.append(copied)
            marks.append(mark)
        return type(value)(items), Mark(self._source, line, tuple(marks) if same else None)

    def _too_much(self, line: int, depth: int) -> ConfigParseError:
        what = (
            f"nested more than {MAX_DEPTH} levels deep"
            if depth > MAX_DEPTH
            else f"more than {MAX_VALUES:,} values; is a YAML alias or a loop multiplying them?"
        )
        return ConfigParseError(f"the config is {what}", file=self._source.file, line=line)
