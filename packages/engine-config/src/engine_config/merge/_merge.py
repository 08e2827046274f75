"""Merge the values of one file, or of options, into those of its base."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from engine_config._dict import ConfigDict, marks_of
from engine_config._errors import ConfigKeyError, ConfigTypeError, shown
from engine_config._keys import DELETE_KEY, join
from engine_config._marks import Mark, error_at
from engine_config.merge._list_edits import edit_list, is_edit


class Note(NamedTuple):
    """A value that can be merged but is probably a mistake; `Config.check` reports it."""

    mark: Mark
    key_path: str
    message: str
    kind: Literal["dead _delete_", "unknown key"]


class Merging:
    """Merge values into those of a base, and collect notes about probable mistakes.

    Args:
        list_keys: Whether a dict with numbers as keys changes elements of a list, as on the command
            line.
        has_commands: Whether the new values may contain ``_delete_`` or list edits.
        overriding: Whether the new values are options. An option cannot replace a plain value by a
            dict.
        notes: The list that probable mistakes are added to.

    Example:
        >>> from engine_config import ConfigDict
        >>> from engine_config._marks import Source
        >>> from engine_config.origin import Attacher
        >>> base, own = (Attacher(Source(file, "")) for file in ("base.py", "own.py"))
        >>> values = base.root({"model": {"type": "ResNet", "depth": 50}}, {})
        >>> Merging().merge(values, own.root({"model": {"depth": 18}}, {}))
        >>> values
        {'model': {'type': 'ResNet', 'depth': 18}}
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
        """Merge ``own`` into ``base``, which is changed; ``own`` must not be used afterwards.

        A dict is merged into a dict key by key. ``_delete_=True`` in it drops the other keys of the
        base. ``_append_`` and the other list edits change a list. Any other value replaces the
        value of the base.
        """
        base_marks, own_marks = marks_of(base), marks_of(own)
        for key, value in dict.items(own):
            mark, here = own_marks[key], join(path, key)
            if self.overriding and key not in base:
                # The keys of an option are strings, but keys in a YAML file may be numbers.
                same = next((known for known in dict.keys(base) if str(known) == str(key)), key)
                if same == key:
                    self._note_misspelling(base, key, mark, here)
                key = same
            current = dict.get(base, key)
            if isinstance(value, ConfigDict):
                value, mark = self._dict(base, key, value, mark=mark, path=here)
                # The dict was merged in place, and its keys have their marks already.
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
            wanted = "plain dict" if isinstance(current, dict) else "dict"
            raise error_at(
                ConfigTypeError,
                f"cannot be set, because {path} is {shown(current)}, not a {wanted}",
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
            message = f"_delete_ has no effect, because no base sets {path} to a dict"
            note = Note(mark=place, key_path=path, message=message, kind="dead _delete_")
            self.notes.append(note)
        return delete

    def _note_misspelling(self, base: ConfigDict, key: Any, mark: Mark, path: str) -> None:
        # In a dict with a type, the signature check finds the mistake.
        if "type" in base or not mark.source.is_option:
            return
        # Imported here, for options only: importing this package would take 50 % longer.
        from engine_utils import closest_name

        # A new key is allowed, so only a key that is very similar to another one is reported.
        close = closest_name(key, dict.keys(base), likeness=0.85)
        if close:
            message = f"this option adds a new key; did you mean {close!r}?"
            self.notes.append(Note(mark=mark, key_path=path, message=message, kind="unknown key"))

    def settle(self, value: Any, mark: Mark, path: str) -> Any:
        """Remove ``_delete_`` from a value that replaces that of the base, or has no base.

        Raises:
            ConfigTypeError: The value holds a list edit, but there is no list to edit.
        """
        # Few files have commands. Skip the walk over all values for the others.
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
        """Merge ``{'0': …, '2': …}`` into the elements of a list."""
        items = list(current)
        places = list(old.items) if old and old.items and len(old.items) == len(items) else None
        places = places or [old or mark] * len(items)
        for key, item in dict.items(value):
            index = self._index(key, items, mark, path)
            # An element is merged by the same rules as the value of a key, so wrap it in a dict.
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
            message = f"{path} is a list; write an index instead of {text!r}"
            raise error_at(ConfigTypeError, message, mark, join(path, text))
        index = int(text)
        if not -len(items) <= index < len(items):
            message = f"{path} has {len(items)} elements, there is no index {text}"
            raise error_at(ConfigKeyError, message, mark, join(path, text))
        return index
