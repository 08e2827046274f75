"""How the values of one file change those of its bases."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from engine_config._closest import closest
from engine_config._dict import ConfigDict, marks_of
from engine_config._errors import ConfigKeyError, ConfigTypeError
from engine_config._keys import DELETE_KEY
from engine_config._lists import edit_list, is_edit
from engine_config._marks import Mark, error_at, join, shown


class Note(NamedTuple):
    """Something that can be merged, but that nobody writes on purpose."""

    mark: Mark
    key_path: str
    message: str
    kind: Literal["dead _delete_", "unknown key"]


class Merging:
    """One merge: its rules, and what it noticed.

    Args:
        list_keys: whether a dict of numbers changes the elements of a list, as on the command line.
        has_commands: whether there can be a `_delete_` or an edit of a list among the new values.
        overriding: whether the new values are options, which cannot replace a plain value by a
            dict.
        notes: what looks like a mistake; added to.
    """

    def __init__(
        self,
        *,
        list_keys: bool = False,
        overriding: bool = False,
        has_commands: bool = True,
        notes: list[Note] | None = None,
    ) -> None:
        self.list_keys, self.overriding, self.has_commands = list_keys, overriding, has_commands
        self.notes: list[Note] = [] if notes is None else notes

    def merge(self, base: ConfigDict, own: ConfigDict, path: str = "") -> None:
        """Change `base` by the values of `own`, which must not be used afterwards.

        A dict is merged into a dict key by key; `_delete_=True` in it drops the base's other keys;
        `_append_` and its kin change a list; anything else replaces what is there.
        """
        base_marks, own_marks = marks_of(base), marks_of(own)
        for key, value in dict.items(own):
            mark, here = own_marks[key], join(path, key)
            if self.overriding and key not in base:
                # An option is a text, but a key may be a number.
                same = next((known for known in dict.keys(base) if str(known) == str(key)), key)
                if same == key:
                    self._note_misspelling(base, key, mark, here)
                key = same
            current = dict.get(base, key)
            if isinstance(value, ConfigDict):
                value, mark = self._dict(base, key, value, mark=mark, path=here)
                if value is current:
                    base_marks[key] = mark
                    continue
            else:
                value = self.settle(value, mark, here)
            dict.__setitem__(base, key, value)
            base_marks[key] = mark

    def _dict(
        self, base: ConfigDict, key: Any, value: ConfigDict, *, mark: Mark, path: str
    ) -> tuple[Any, Mark]:
        current = dict.get(base, key)
        if is_edit(value):
            old = marks_of(base).get(key)
            return edit_list(current, value, self, old=old, mark=mark, path=path)
        if self._take_delete(value, mark, path, isinstance(current, dict)):
            return self.settle(value, mark, path), mark
        if isinstance(current, ConfigDict):
            self.merge(current, value, path)
            return current, mark
        if self.list_keys and isinstance(current, list | tuple) and value:
            old = marks_of(base).get(key)
            return self._elements(current, value, old=old, mark=mark, path=path)
        if self.overriding and current is not None:
            raise error_at(
                ConfigTypeError,
                f"cannot be set, because {path} is {shown(current)}, not a dict",
                mark,
                join(path, next(iter(value), "")),
            )
        return self.settle(value, mark, path), mark

    def _take_delete(self, value: ConfigDict, mark: Mark, path: str, useful: bool) -> bool:
        if DELETE_KEY not in value:
            return False
        place = marks_of(value).pop(DELETE_KEY, mark)
        delete = bool(dict.pop(value, DELETE_KEY))
        if delete and not useful:
            message = f"there is nothing to delete: no base gives {path} as a dict"
            note = Note(mark=place, key_path=path, message=message, kind="dead _delete_")
            self.notes.append(note)
        return delete

    def _note_misspelling(self, base: ConfigDict, key: Any, mark: Mark, path: str) -> None:
        # Where there is a type, its signature tells better which keys there can be.
        if "type" in base or not mark.source.is_option:
            return
        close = closest(key, dict.keys(base), likeness=0.85)
        if close:
            message = f"this option adds a new key; did you mean {close!r}?"
            self.notes.append(Note(mark=mark, key_path=path, message=message, kind="unknown key"))

    def settle(self, value: Any, mark: Mark, path: str) -> Any:
        """Take the `_delete_` out of a value that replaces the base's, or has none.

        Raises:
            ConfigTypeError: it holds an edit of a list, and there is no list.
        """
        if not self.has_commands:
            return value
        if isinstance(value, ConfigDict):
            if is_edit(value):
                edit_list(None, value, self, old=None, mark=mark, path=path)
            self._take_delete(value, mark, path, False)
            for key, item in dict.items(value):
                if isinstance(item, ConfigDict) or type(item) in (list, tuple):
                    self.settle(item, marks_of(value).get(key, mark), join(path, key))
        elif type(value) in (list, tuple):
            for index, item in enumerate(value):
                if isinstance(item, ConfigDict) or type(item) in (list, tuple):
                    place = mark.items[index] if mark.items and index < len(mark.items) else mark
                    self.settle(item, place, join(path, index))
        return value

    def _elements(
        self, current: Any, value: ConfigDict, *, old: Mark | None, mark: Mark, path: str
    ) -> tuple[Any, Mark]:
        """Merge `{'0': …, '2': …}` into the elements of a list."""
        items = list(current)
        places = list(old.items) if old and old.items and len(old.items) == len(items) else None
        places = places or [old or mark] * len(items)
        for key, item in dict.items(value):
            index = self._index(key, items, mark, path)
            # An element is merged as the value of a key is, so it is made one.
            holder, new = ConfigDict(), ConfigDict()
            dict.__setitem__(holder, index, items[index])
            marks_of(holder)[index] = places[index]
            dict.__setitem__(new, index, item)
            marks_of(new)[index] = marks_of(value)[key]
            self.merge(holder, new, path)
            items[index], places[index] = dict.__getitem__(holder, index), marks_of(holder)[index]
        base = old or mark
        return type(current)(items), Mark(base.source, base.line, tuple(places))

    def _index(self, key: Any, items: list[Any], mark: Mark, path: str) -> int:
        text = str(key)
        if not text.removeprefix("-").isdecimal():
            message = f"{path} is a list: write an index instead of {text!r}"
            raise error_at(ConfigTypeError, message, mark, join(path, text))
        index = int(text)
        if not -len(items) <= index < len(items):
            message = f"{path} has {len(items)} elements, there is no index {text}"
            raise error_at(ConfigKeyError, message, mark, join(path, text))
        return index
