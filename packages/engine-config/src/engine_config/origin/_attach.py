"""Convert the plain values of a file to ConfigDicts, and mark each key with its line."""

from __future__ import annotations

from typing import Any, Final

from engine_config._dict import PLAIN_DICTS, ConfigDict, marks_of, new_dict
from engine_config._errors import ConfigParseError
from engine_config._keys import COMMANDS
from engine_config._marks import Mark, Source
from engine_config.origin._lines import Lines

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 250_000
_CONTAINERS: Final = (dict, list, tuple, set)
_set = dict.__setitem__


class Attacher:
    """Copy the containers of a file's values, and mark their keys.

    Args:
        source: The file the values were read from.
        line: The line to use for a value whose line is unknown.

    Attributes:
        has_commands: Whether the values contain a ``_delete_`` or a list edit.

    Example:
        >>> attacher = Attacher(Source("a.py", "lr = 0.1"))
        >>> values = attacher.root({"lr": 0.1}, {"lr": Lines(1)})
        >>> marks_of(values)["lr"].line
        1
    """

    def __init__(self, source: Source, *, line: int = 0) -> None:
        self._source, self._line = source, line
        self._left = MAX_VALUES
        self._marks: dict[int, Mark] = {}
        self.has_commands = False

    def root(self, values: dict[Any, Any], names: dict[object, Lines]) -> ConfigDict:
        """Return the marked values of a file, given the lines of its top-level names.

        Raises:
            ConfigParseError: The values are deeper than `MAX_DEPTH`, or more than `MAX_VALUES`.
        """
        return self._dict(values, Lines(self._line, names), self._line, 0)

    def _mark(self, line: int) -> Mark:
        # Keys of one line share a mark. This makes reading faster and pickled configs smaller.
        mark = self._marks.get(line)
        if mark is None:
            mark = self._marks[line] = Mark(self._source, line)
        return mark

    def _dict(
        self, value: dict[Any, Any], lines: Lines | None, line: int, depth: int
    ) -> ConfigDict:
        marks: dict[Any, Mark] = {}
        new = new_dict(marks)
        old = marks_of(value) if isinstance(value, ConfigDict) else {}
        known = lines.children if lines is not None and isinstance(lines.children, dict) else {}
        self._count(len(value), line, depth)
        if not COMMANDS.isdisjoint(value):
            self.has_commands = True
        # dict.items and dict.__setitem__ skip the methods of ConfigDict, which would import lazy
        # names and search for the caller's line at every key.
        for key, item in dict.items(value):
            part = known.get(key)
            here = part.line if part is not None else line
            if isinstance(item, _CONTAINERS):
                item, mark = self._container(item, part, here, depth + 1)
            else:
                mark = self._marks.get(here) or self._mark(here)
            _set(new, key, item)
            # A value copied from a base keeps its mark, unless this file sets it again.
            marks[key] = mark if part is not None or key not in old else old[key]
        return new

    def _container(
        self, value: Any, lines: Lines | None, line: int, depth: int
    ) -> tuple[Any, Mark]:
        if isinstance(value, ConfigDict) or type(value) in PLAIN_DICTS:
            return self._dict(value, lines, line, depth), self._mark(line)
        if type(value) in (list, tuple):
            return self._sequence(value, lines, line, depth)
        if type(value) is set:
            return set(value), self._mark(line)  # copied, because the parsed value may be cached
        # A named tuple, a defaultdict or the like is one value.
        return value, self._mark(line)

    def _sequence(self, value: Any, lines: Lines | None, line: int, depth: int) -> tuple[Any, Mark]:
        known = lines.children if lines is not None and isinstance(lines.children, list) else []
        # The lines are valid only if their number equals the number of items. Code may have changed
        # the list.
        same = len(known) == len(value)
        self._count(len(value), line, depth)
        items = list(value)
        marks: list[Mark] = []
        for index, item in enumerate(items):
            part = known[index] if same else None
            here = part.line if part is not None else line
            if isinstance(item, _CONTAINERS):
                items[index], mark = self._container(item, part, here, depth + 1)
                marks.append(mark)
            elif same:
                marks.append(self._marks.get(here) or self._mark(here))
        kept = items if type(value) is list else tuple(items)
        return kept, Mark(self._source, line, tuple(marks)) if same else self._mark(line)

    def _count(self, number: int, line: int, depth: int) -> None:
        # A short file can expand to billions of values through YAML aliases and Python loops. The
        # limit applies to the copies made here, before any merge.
        self._left -= number
        if depth <= MAX_DEPTH and self._left >= 0:
            return
        what = (
            f"nested more than {MAX_DEPTH} levels deep"
            if depth > MAX_DEPTH
            else f"more than {MAX_VALUES:,} values; is a YAML alias or a loop multiplying them?"
        )
        raise ConfigParseError(f"the config is {what}", file=self._source.file, line=line)
