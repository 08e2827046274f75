"""Edit a list of a base instead of repeating it.

A dict with one or more of these keys, in the place of a list of the base, edits that list:

===================  ==================================================================
``_remove_``         a selector or a list of selectors of the items to remove
``_update_``         ``{selector: dict}``: merged into the item
``_replace_``        ``{selector: item}``
``_insert_``         ``{selector: item or list of items}``: before that item
``_insert_after_``   ``{selector: item or list of items}``: after that item
``_prepend_``        a list of items to put first
``_append_``         a list of items to put last
===================  ==================================================================

A selector is an index (negative ones count from the end), or the ``type`` of the only item that
has it. All selectors refer to the original list of the base.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from engine_config._dict import ConfigDict, marks_of
from engine_config._errors import ConfigKeyError, ConfigTypeError, shown
from engine_config._keys import LIST_EDITS, join
from engine_config._lazy import LazyObject
from engine_config._marks import Mark, error_at


class Merger(Protocol):
    """The merge that an edit is a part of; it merges items and removes commands from them."""

    def merge(self, base: ConfigDict, own: ConfigDict, path: str = "") -> None:
        """Merge ``own`` into ``base``."""

    def settle(self, value: Any, mark: Mark, path: str) -> Any:
        """Remove the commands from a value that has no base."""


def is_edit(value: dict[Any, Any]) -> bool:
    """Return whether a dict is a list edit."""
    return not LIST_EDITS.isdisjoint(value)


def edit_list(
    current: Any, edit: ConfigDict, merger: Merger, *, old: Mark | None, mark: Mark, path: str
) -> tuple[Any, Mark]:
    """Return the edited list, and its mark with the places of the items.

    Args:
        current: The value of the base.
        edit: The edit, as described at the top of this module.
        merger: The merge that the edit is a part of.
        old: The place of the base's value.
        mark: The place of the edit.
        path: The key path of the list, for errors.

    Raises:
        ConfigTypeError: The base has no list there, or the edit is malformed.
        ConfigKeyError: A selector finds no item, or several.
    """
    if not isinstance(current, list | tuple):
        what = (
            "there is no base value" if current is None else f"the base value is {shown(current)}"
        )
        keys = ", ".join(sorted(LIST_EDITS.intersection(edit)))
        raise error_at(ConfigTypeError, f"{keys} changes a list of a base, but {what}", mark, path)
    other = [key for key in edit if key not in LIST_EDITS]
    if other:
        message = f"{other[0]!r} cannot stand beside the changes of a list"
        raise error_at(ConfigTypeError, message, mark, path)
    return _Edit(current, merger, old=old, mark=mark, path=path).apply(edit)


class _Edit:
    """Edit a list: keep each item of the base with the new items before and after it.

    The slots keep the positions of the base until the end. A selector therefore means the same
    item, whatever the order of the edits.
    """

    def __init__(
        self, current: Any, merger: Merger, *, old: Mark | None, mark: Mark, path: str
    ) -> None:
        self._type, self._items, self._mark, self._path = type(current), list(current), mark, path
        self._merger = merger
        places = old.items if old and old.items and len(old.items) == len(self._items) else None
        # If the marks do not match the items (code built the list), use the mark of the list for
        # all.
        places = places or (old or mark,) * len(self._items)
        # One slot per item: empty if it is removed.
        self._slots = [[pair] for pair in zip(self._items, places, strict=True)]
        self._before: list[list[tuple[Any, Mark]]] = [[] for _ in self._items]
        self._after: list[list[tuple[Any, Mark]]] = [[] for _ in self._items]

    def apply(self, edit: ConfigDict) -> tuple[Any, Mark]:
        # `_remove_` comes last, so that it wins over other edits of the same item.
        head = self._new(edit, "_prepend_")
        tail = self._new(edit, "_append_")
        for selector, value, mark in self._selected(edit, "_insert_"):
            self._before[self._index(selector)].extend(self._several(value, mark))
        for selector, value, mark in self._selected(edit, "_insert_after_"):
            self._after[self._index(selector)].extend(self._several(value, mark))
        for selector, value, mark in self._selected(edit, "_replace_"):
            self._slots[self._index(selector)] = [(self._settled(value, mark), mark)]
        for selector, value, mark in self._selected(edit, "_update_"):
            self._update(self._index(selector), value, mark)
        removed = dict.get(edit, "_remove_", [])
        for selector in removed if isinstance(removed, list | tuple) else [removed]:
            self._slots[self._index(selector)] = []
        middle = [
            pair
            for before, slot, after in zip(self._before, self._slots, self._after, strict=True)
            for pair in (*before, *slot, *after)
        ]
        pairs = [*head, *middle, *tail]
        places = tuple(place for _, place in pairs)
        return self._type(item for item, _ in pairs), Mark(
            self._mark.source, self._mark.line, places
        )

    def _new(self, edit: ConfigDict, key: str) -> list[tuple[Any, Mark]]:
        value, mark = dict.get(edit, key, []), marks_of(edit).get(key, self._mark)
        if not isinstance(value, list | tuple):
            raise self._wrong(f"{key} must be a list of items, got {shown(value)}", mark)
        return self._several(value, mark)

    def _several(self, value: Any, mark: Mark) -> list[tuple[Any, Mark]]:
        if not isinstance(value, list | tuple):
            return [(self._settled(value, mark), mark)]
        places = mark.items if mark.items and len(mark.items) == len(value) else None
        pairs = zip(value, places or (mark,) * len(value), strict=True)
        return [(self._settled(item, place), place) for item, place in pairs]

    def _settled(self, value: Any, mark: Mark) -> Any:
        return self._merger.settle(value, mark, self._path)

    def _selected(self, edit: ConfigDict, key: str) -> Iterable[tuple[Any, Any, Mark]]:
        value, mark = dict.get(edit, key, ConfigDict()), marks_of(edit).get(key, self._mark)
        if not isinstance(value, ConfigDict):
            form = f"{key} must be {{index or type: …}}, got {shown(value)}"
            raise self._wrong(form, mark)
        return [
            (selector, item, marks_of(value).get(selector, mark))
            for selector, item in dict.items(value)
        ]

    def _update(self, index: int, value: Any, mark: Mark) -> None:
        item = self._items[index]
        if not isinstance(item, ConfigDict) or not isinstance(value, ConfigDict):
            both = f"{shown(value)} cannot be merged into {shown(item)}"
            raise self._wrong(f"_update_ merges a dict into a dict; {both}", mark)
        self._merger.merge(item, value, join(self._path, index))

    def _index(self, selector: Any) -> int:
        # Compare types first: a selector from YAML or the command line is always a string.
        found = [index for index, item in enumerate(self._items) if _has_type(item, selector)]
        if len(found) == 1:
            return found[0]
        if found:
            message = (
                f"{selector!r} is the type of the items {', '.join(map(str, found))}; give an index"
            )
            raise self._missing(message)
        try:
            index = int(selector)
            self._items[index]  # raises an IndexError outside of the list
        except (ValueError, TypeError, IndexError):
            types = [str(dict.get(item, "type")) for item in self._items if isinstance(item, dict)]
            has = f"; their types are {', '.join(types)}" if types else ""
            message = f"none of the {len(self._items)} items is {selector!r}{has}"
            raise self._missing(message) from None
        return index % len(self._items)  # a negative index counts from the end

    def _wrong(self, message: str, mark: Mark) -> Exception:
        return error_at(ConfigTypeError, message, mark, self._path)

    def _missing(self, message: str) -> Exception:
        return error_at(ConfigKeyError, message, self._mark, self._path)


def _has_type(item: Any, selector: Any) -> bool:
    if not isinstance(item, dict) or "type" not in item:
        return False
    kind: object = dict.__getitem__(item, "type")
    if kind == selector:
        return True
    # Compare a lazy name as text: an edit must not import the class.
    if isinstance(kind, LazyObject):
        return str(selector) in (str(kind), str(kind).rpartition(".")[2])
    return isinstance(kind, type) and kind.__name__ == str(selector)
