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

_CONTAINERS: Final = (dict, list, tuple)
_SCALARS: Final = frozenset([bool, bytes, complex, float, int, str])


class _Seen:
    """A dict, list or tuple as it was at the last comparison.

    Attributes:
        value: The container; the reference keeps its ``id`` unique.
        keys: The keys of a dict.
        items: Its items.
        marks: The marks of its items.
        now: A view of the items that it has now.
        marks_now: A view of the marks that it has now, for a dict.
        containers: Those of its items that have items.
    """

    __slots__ = ("containers", "items", "keys", "marks", "marks_now", "now", "value")

    def __init__(self, value: Any, items: list[Any], marks: list[Mark]) -> None:
        self.value, self.items, self.marks = value, items, marks
        self.keys: list[Any] = []
        self.now, self.marks_now = value, None
        if isinstance(value, ConfigDict):
            self.keys = list(dict.keys(value))
            self.now, self.marks_now = dict.values(value), marks_of(value).values()
        self.containers = [item for item in items if isinstance(item, _CONTAINERS)]

    def is_current(self) -> bool:
        """Return whether nothing has changed since.

        The marks count too: they change when a key is renamed, or set to the same object again.
        """
        return (
            len(self.now) == len(self.items)
            and all(map(is_, self.items, self.now))
            and (self.marks_now is None or all(map(is_, self.marks, self.marks_now)))
        )


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
            marks = list(map(marks_of(value).__getitem__, dict.keys(value)))
        elif type(value) in (list, tuple):
            items = list(value)
            marks = _item_marks(mark, len(items))
        else:
            return
        seen = self._seen[id(value)] = _Seen(value, items, marks)
        if seen.containers:
            for item, place in zip(items, marks, strict=True):
                if isinstance(item, _CONTAINERS):
                    self._start(item, place)

    def compare(self, line: int) -> int:
        """Mark what has changed since the last comparison with the line of a statement.

        Returns:
            The number of values that were compared, about.

        Raises:
            ConfigKeyError: A dict of the bases got a command for merging, which cannot act there.
        """
        here = Mark(self._source, line)
        changed = [seen for seen in self._seen.values() if not seen.is_current()]
        waiting = [seen.value for seen in changed]
        while waiting:
            self.found = True
            value = waiting.pop()
            seen = self._seen.get(id(value))
            if isinstance(value, ConfigDict):
                marks = self._dict(value, seen, here)
                self._seen[id(value)] = seen = _Seen(value, list(dict.values(value)), marks)
            elif type(value) in (list, tuple):
                items = list(value)
                marks = [self._first(item, here) for item in items]
                if seen is not None:
                    marks = self._moved(seen, items, here)
                self._seen[id(value)] = seen = _Seen(value, items, marks)
            else:
                continue
            waiting.extend(item for item in seen.containers if id(item) not in self._seen)
        return sum(len(seen.items) for seen in self._seen.values())

    def _dict(self, value: ConfigDict, seen: _Seen | None, here: Mark) -> list[Mark]:
        marks = marks_of(value)
        if seen is None:
            for key in dict.keys(value):
                marks.setdefault(key, here)
        else:
            places = zip(seen.items, seen.marks, strict=True)
            old = dict(zip(seen.keys, places, strict=True))
            for key, item in dict.items(value):
                before, mark = old.get(key, (None, None))
                if mark is None or before is not item or mark is not marks.get(key):
                    marks[key] = here
                    self._reject_command(key, here)
        return [marks[key] for key in dict.keys(value)]

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
            if isinstance(item, _CONTAINERS)
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

    def marked(self) -> ConfigDict:
        """Return the values of the bases, with the places of all list items in their marks."""
        for seen in self._seen.values():
            if seen.marks_now is None:
                continue
            marks = marks_of(seen.value)
            for key, item in dict.items(seen.value):
                if type(item) in (list, tuple):
                    marks[key] = self._with_items(item, marks[key], 0)
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


def _differ(one: Any, other: Any) -> bool:
    # Whether equal numbers or strings are one object depends on how Python compiles the file.
    equal = type(one) is type(other) and type(one) in _SCALARS and one == other
    return one is not other and not equal


def _item_marks(mark: Mark | None, size: int) -> list[Mark]:
    if mark is not None and mark.items is not None and len(mark.items) == size:
        return list(mark.items)
    # The items have the place of the list.
    return [NOWHERE if mark is None else Mark(mark.source, mark.line)] * size
