"""Find what the statements of a file have changed in its bases, and mark it with their lines.

``pipe.insert(0, …)`` changes a plain list, which does not record its changes. After each statement
that may change the bases, they are therefore compared with what they were before it.
"""

from __future__ import annotations

from operator import is_
from typing import Any, Final

from engine_config._dict import ConfigDict, marks_of
from engine_config._errors import ConfigKeyError
from engine_config._keys import COMMANDS
from engine_config._marks import NOWHERE, Mark, Source
from engine_config.origin._attach import MAX_DEPTH

_SCALARS: Final = frozenset([bool, bytes, complex, float, int, str])


class _Seen:
    """A dict, list or tuple as it was at the last comparison.

    Attributes:
        value: The container; the reference keeps its ``id`` unique.
        keys: The keys of a dict.
        items: Its items.
        marks: The marks of its items.
        containers: Those of its items that have items.
    """

    __slots__ = ("containers", "items", "keys", "marks", "value")

    def __init__(self, value: Any, items: list[Any], marks: list[Mark]) -> None:
        self.value, self.items, self.marks = value, items, marks
        self.keys = list(dict.keys(value)) if isinstance(value, dict) else []
        self.containers = [item for item in items if isinstance(item, dict | list | tuple)]


class Changes:
    """The changes that a file makes to the values of its bases, in place.

    Args:
        base: The values of the bases; the marks of their keys are kept up to date.
        source: The file that changes them.

    Attributes:
        found: Whether any value was changed.

    Example:
        >>> from engine_config.origin import Attacher
        >>> base = Attacher(Source("base.py", "")).root({"steps": [8, 11]}, {})
        >>> changes = Changes(base, Source("child.py", ""))
        >>> base.steps.append(14)
        >>> _ = changes.compare(3)
        >>> marks_of(changes.marked()).get("steps").items[2].line
        3
    """

    def __init__(self, base: ConfigDict, source: Source) -> None:
        self._base, self._source = base, source
        self._seen: dict[int, _Seen] = {}
        self.found = False
        self._start(base, None)

    def _start(self, value: Any, mark: Mark | None) -> None:
        if isinstance(value, ConfigDict):
            items = list(dict.values(value))
            known = marks_of(value)
            marks = [known[key] for key in dict.keys(value)]
        elif type(value) in (list, tuple):
            items = list(value)
            marks = _item_marks(mark, len(items))
        else:
            return
        self._seen[id(value)] = _Seen(value, items, marks)
        for item, place in zip(items, marks, strict=True):
            if isinstance(item, dict | list | tuple):
                self._start(item, place)

    def compare(self, line: int) -> int:
        """Mark what has changed since the last comparison with the line of a statement.

        Returns:
            The number of values that were compared.

        Raises:
            ConfigKeyError: A dict of the bases got a command for merging, which cannot act there.
        """
        here = Mark(self._source, line)
        visited: set[int] = set()  # the file may have made a circle
        waiting: list[Any] = [self._base]
        compared = 0
        while waiting:
            value = waiting.pop()
            if id(value) in visited:
                continue
            visited.add(id(value))
            compared += len(value)
            if isinstance(value, ConfigDict):
                waiting.extend(self._dict(value, here))
            elif type(value) in (list, tuple):
                waiting.extend(self._sequence(value, here))
        return compared

    def _dict(self, value: ConfigDict, here: Mark) -> list[Any]:
        seen, marks = self._seen.get(id(value)), marks_of(value)
        if seen is not None:
            # The marks too: they change when a key is renamed, or set to the same object again.
            if _same(seen.items, dict.values(value)) and _same(seen.marks, marks.values()):
                return seen.containers
            old = {
                key: (item, mark)
                for key, item, mark in zip(seen.keys, seen.items, seen.marks, strict=True)
            }
            for key, item in dict.items(value):
                before, mark = old.get(key, (None, None))
                if mark is None or before is not item or mark is not marks.get(key):
                    marks[key] = here
                    self._reject_command(key, here)
        else:
            for key in dict.keys(value):
                marks.setdefault(key, here)
        return self._keep(value, list(dict.values(value)), [marks[key] for key in dict.keys(value)])

    def _reject_command(self, key: object, here: Mark) -> None:
        if key not in COMMANDS:
            return
        raise ConfigKeyError(
            f"{key} has no effect on a value of _base_ that is changed in place; call a method "
            f"such as clear(), pop() or append() there, or write {key} in a key of this file",
            file=here.source.file,
            line=here.line,
            key_path=str(key),
        )

    def _sequence(self, value: Any, here: Mark) -> list[Any]:
        seen = self._seen.get(id(value))
        items = list(value)
        if seen is None:
            return self._keep(value, items, [self._first(item, here) for item in items])
        if _same(seen.items, items):
            return seen.containers
        return self._keep(value, items, self._moved(seen, items, here))

    def _moved(self, seen: _Seen, items: list[Any], here: Mark) -> list[Mark]:
        """Return the marks of the items of a list that has changed."""
        shorter = min(len(items), len(seen.items))
        first = next((n for n in range(shorter) if _differ(items[n], seen.items[n])), shorter)
        rest = shorter - first
        last = next((n for n in range(rest) if _differ(items[-1 - n], seen.items[-1 - n])), rest)
        # Between the equal ends, recognize containers only: equal numbers are often one object.
        old = {
            id(item): mark
            for item, mark in zip(seen.items, seen.marks, strict=True)
            if isinstance(item, dict | list | tuple)
        }
        middle = items[first : len(items) - last]
        marks = [old.get(id(item)) or self._first(item, here) for item in middle]
        return [*seen.marks[:first], *marks, *seen.marks[len(seen.marks) - last :]]

    def _first(self, item: Any, here: Mark) -> Mark:
        """Return the mark of a new item: the line where a dict begins, if the text shows it."""
        if isinstance(item, ConfigDict) and id(item) not in self._seen:
            first = next(iter(marks_of(item).values()), here)
            return Mark(here.source, first.line) if first.source is here.source else here
        return here

    def _keep(self, value: Any, items: list[Any], marks: list[Mark]) -> list[Any]:
        self.found = True
        seen = self._seen[id(value)] = _Seen(value, items, marks)
        return seen.containers

    def marked(self) -> ConfigDict:
        """Return the values of the bases, with the places of all list items in their marks."""
        waiting: list[Any] = [self._base]
        visited: set[int] = set()
        while waiting:
            value = waiting.pop()
            if id(value) in visited:
                continue
            visited.add(id(value))
            if isinstance(value, ConfigDict):
                marks = marks_of(value)
                for key, item in dict.items(value):
                    if type(item) in (list, tuple):
                        marks[key] = self._with_items(item, marks[key], 0)
            waiting.extend(self._seen[id(value)].containers if id(value) in self._seen else ())
        return self._base

    def _with_items(self, value: Any, mark: Mark, depth: int) -> Mark:
        seen = self._seen.get(id(value))
        if seen is None or depth > MAX_DEPTH:
            return mark
        places = [
            self._with_items(item, place, depth + 1) if type(item) in (list, tuple) else place
            for item, place in zip(seen.items, seen.marks, strict=True)
        ]
        return Mark(mark.source, mark.line, tuple(places))


def _same(old: list[Any], new: Any) -> bool:
    return len(old) == len(new) and all(map(is_, old, new))


def _differ(one: Any, other: Any) -> bool:
    # Whether equal numbers or strings are one object depends on how Python compiles the file.
    equal = type(one) is type(other) and type(one) in _SCALARS and one == other
    return one is not other and not equal


def _item_marks(mark: Mark | None, size: int) -> list[Mark]:
    if mark is not None and mark.items is not None and len(mark.items) == size:
        return list(mark.items)
    # The items have the place of the list.
    return [NOWHERE if mark is None else Mark(mark.source, mark.line)] * size
