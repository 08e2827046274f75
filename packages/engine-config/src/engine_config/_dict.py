"""`ConfigDict`: a dict with attribute access that keeps the place where each key was set."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from operator import is_
from typing import TYPE_CHECKING, Any, Final, NoReturn

import addict

from engine_config._keys import DELETE_KEY
from engine_config._lazy import LazyObject
from engine_config._marks import Mark, called_by_config, caller_mark

_set = dict.__setitem__
_MAY_BE_LAZY: Final = frozenset([LazyObject, list, tuple])
# The classes that become a ConfigDict. Another subclass of dict is a value of the user's.
PLAIN_DICTS: Final = (dict, OrderedDict)


class _Default(Enum):
    """The default of `ConfigDict.pop`; signatures show ``None``."""

    NONE = None

    def __repr__(self) -> str:
        return "None"


if TYPE_CHECKING:  # addict publishes no types
    _Dict = dict[Any, Any]
else:
    _Dict = addict.Dict


class ConfigDict(_Dict):
    """A dict whose keys are attributes too, nested dicts included.

    It differs from Python's dict in three ways. A missing attribute or item raises an error that
    suggests the closest key. A dict that is set as a value becomes a `ConfigDict`. A name that a
    lazy config imports is imported when its value is read.

    Args:
        *args: The arguments of `dict`: nothing, a mapping, or pairs.
        **kwargs: Keys and values.

    Example:
        >>> model = ConfigDict(type="ResNet", backbone=dict(depth=50))
        >>> model.backbone.depth
        50
        >>> model.backbone.dept
        Traceback (most recent call last):
        AttributeError: there is no key 'dept'; did you mean 'depth'?
    """

    __slots__ = ("_marks_",)
    _marks_: dict[Any, Mark]

    def __new__(cls, *args: Any, **kwargs: Any) -> ConfigDict:
        """Create the instance with empty marks.

        They are set here because copying and unpickling skip ``__init__``.
        """
        self: ConfigDict = dict.__new__(cls)
        _put_marks(self, {})
        return self

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        if args and isinstance(args[0], ConfigDict):
            _put_marks(self, dict(args[0]._marks_))
            args = (raw_items(args[0]), *args[1:])
        for key, value in dict(*args, **kwargs).items():
            _set(self, key, nested(value))

    # --- reading -----------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        return real(value) if type(value) in _MAY_BE_LAZY else value

    def __missing__(self, key: Any) -> NoReturn:
        raise KeyError(self._miss(key))

    def __getattr__(self, name: str) -> Any:
        try:
            value = dict.__getitem__(self, name)
        except KeyError:
            # Python looks up special names to find out what an object supports. Do not search for
            # the closest key each time.
            message = name if name.startswith("__") else self._miss(name)
            raise AttributeError(message) from None
        return real(value) if type(value) in _MAY_BE_LAZY else value

    def _miss(self, key: Any) -> str:
        # Imported here, for errors only: importing this package would take 50 % longer.
        from engine_utils import did_you_mean

        keys = list(dict.keys(self))
        listed = ", ".join(map(repr, keys[:20])) + (", …" if len(keys) > 20 else "")
        hint = did_you_mean(key, keys) or f"; the keys are: {listed or 'none'}"
        return f"there is no key {key!r}{hint}"

    # dict(x), {**x} and f(**x) skip the methods of a dict subclass unless it overrides __iter__.
    # Then lazy names would not be imported.
    def __iter__(self) -> Iterator[Any]:
        return dict.__iter__(self)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``."""
        return real(dict.get(self, key, default))

    def items(self) -> Any:
        """Return the pairs of key and value, with lazy names imported."""
        pairs = dict.items(self)
        if any(holds_lazy(value) for _, value in pairs):
            return {key: real(value) for key, value in pairs}.items()
        return pairs

    def values(self) -> Any:
        """Return the values, with lazy names imported."""
        values = dict.values(self)
        if any(holds_lazy(value) for value in values):
            return {key: real(value) for key, value in dict.items(self)}.values()
        return values

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, dict) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not same(self, other) if isinstance(other, dict) else NotImplemented

    # --- writing -----------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        # addict's freeze() sets this attribute of the instance.
        if self.__dict__.get("__frozen") and key not in self:
            raise KeyError(f"the config is frozen: the new key {key!r} cannot be added")
        _set(self, key, nested(value))
        self._marks_[key] = caller_mark()

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of ConfigDict; set the key as [{name!r}]")
        self[name] = value

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(self._miss(key))
        dict.__delitem__(self, key)
        self._marks_.pop(key, None)

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(self._miss(name))
        del self[name]

    def pop(self, key: Any, default: Any = _Default.NONE) -> Any:
        """Remove ``key`` and return its value, or ``default`` if it is missing.

        In a config file, a missing key without a default is a mistake.

        Raises:
            KeyError: A config file removes a key that is missing, and gives no default.
        """
        if key not in self:
            if default is not _Default.NONE:
                return default
            if called_by_config():
                raise KeyError(self._miss(key))
            return None
        self._marks_.pop(key, None)
        return real(dict.pop(self, key))

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last key and return it with its value."""
        key, value = dict.popitem(self)
        self._marks_.pop(key, None)
        return key, real(value)

    def clear(self) -> None:
        """Remove every key."""
        dict.clear(self)
        self._marks_.clear()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of ``key``; set it to ``default`` first if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        """Set keys; a nested dict is updated with the one that it meets, as in `addict.Dict`."""
        if args and isinstance(args[0], ConfigDict):
            args = (raw_items(args[0]), *args[1:])
        for key, value in dict(*args, **kwargs).items():
            old = dict.get(self, key)
            if isinstance(old, dict) and isinstance(value, dict):
                old.update(value)
            else:
                self[key] = value

    def merge(self, other: Mapping[Any, Any]) -> None:
        """Merge a mapping into this one, in place, as a config is merged into its base.

        Args:
            other: The values to set. A nested dict is merged into the one that it meets, unless it
                has ``_delete_=True``: then it replaces that one. Any other value replaces.

        Raises:
            TypeError: ``other`` is not a mapping.
        """
        if not isinstance(other, Mapping):
            raise TypeError(f"other must be a mapping, got {type(other).__name__}")
        values = raw_items(other) if isinstance(other, ConfigDict) else dict(other)
        if values.pop(DELETE_KEY, False):
            self.clear()
        for key, value in values.items():
            old = dict.get(self, key)
            if isinstance(value, Mapping) and isinstance(old, ConfigDict):
                old.merge(value)
            elif isinstance(value, Mapping):
                self[key] = {}
                dict.__getitem__(self, key).merge(value)  # without its `_delete_`
            else:
                self[key] = value

    def build_lazy(self, value: Any) -> Any:
        """Return the object that a lazy name imports, or any other value as it is."""
        return real(value)

    def __or__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        new = self.copy()
        new |= other
        return new

    def __ror__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        new = ConfigDict(other)
        new |= self
        return new

    def __ior__(self, other: Any) -> ConfigDict:
        values = raw_items(other) if isinstance(other, ConfigDict) else dict(other)
        for key, value in values.items():
            self[key] = value  # as with a plain dict: a nested dict is replaced
        return self

    # --- copying -----------------------------------------------------------------------------

    def to_dict(self) -> dict[Any, Any]:
        """Return the values as plain dicts, lists and tuples; lazy names stay lazy."""
        plain: dict[Any, Any] = unnested(self)
        return plain

    def copy(self) -> ConfigDict:
        """Return a shallow copy with the same origins."""
        new = new_dict(self._marks_.copy())
        dict.update(new, raw_items(self))
        return new

    __copy__ = copy

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None) -> ConfigDict:
        """Return a ConfigDict that maps each key to the same value."""
        return cls(dict.fromkeys(iterable, value))

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigDict:
        new = new_dict(self._marks_.copy())
        memo[id(self)] = new
        for key, value in dict.items(self):
            _set(new, key, copy.deepcopy(value, memo))
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (raw_items(self), self._marks_))


def _rebuild(items: dict[Any, Any], marks: dict[Any, Mark]) -> ConfigDict:
    new = new_dict(marks)
    dict.update(new, items)
    return new


# Not ConfigDict.__setattr__, which would set a key.
_put_marks: Final = ConfigDict.__dict__["_marks_"].__set__


def new_dict(marks: dict[Any, Mark]) -> ConfigDict:
    """Return an empty ConfigDict with these marks, in a quarter of the time of its constructor."""
    new: ConfigDict = dict.__new__(ConfigDict)
    _put_marks(new, marks)
    return new


def same(first: Any, second: Any) -> bool:
    """Return whether two values are equal; arrays and tensors also need equal shapes."""
    if isinstance(first, dict) and isinstance(second, dict):
        return len(first) == len(second) and all(
            key in second and same(value, dict.__getitem__(second, key))
            for key, value in dict.items(first)
        )
    if type(first) in (list, tuple) and type(first) is type(second):
        return len(first) == len(second) and all(map(same, first, second))
    if first is second or isinstance(first, LazyObject):
        return first is second or bool(first == second)
    shape = _shape(first)
    # Compare the shapes first: [1, 1] is equal to [1] in each element, and tensors raise.
    if shape != _shape(second):
        return False
    equal = first == second
    return bool(equal.all() if shape and hasattr(equal, "all") else equal)


def _shape(value: Any) -> tuple[Any, ...]:
    shape = getattr(value, "shape", None)
    return tuple(shape) if isinstance(shape, tuple) else ()


def raw_items(config: ConfigDict) -> dict[Any, Any]:
    """Return a plain dict of the stored values, without converting or importing them."""
    return {key: value for key, value in dict.items(config)}  # noqa: C416  # dict() would import


def marks_of(config: ConfigDict) -> dict[Any, Mark]:
    """Return the marks of the keys without a copy: changes to them change `Config.origin`."""
    return config._marks_


def nested(value: Any) -> Any:
    """Convert every plain dict in a value to a ConfigDict, also inside lists and tuples."""
    kind = type(value)
    if kind is list or kind is tuple:
        # A list without dicts is not copied: the program may keep a reference and change it later.
        if any(type(item) in (dict, list, tuple) for item in value):
            converted = kind(map(nested, value))
            return value if all(map(is_, value, converted)) else converted
        return value
    return ConfigDict(value) if kind in PLAIN_DICTS else value


def unnested(value: Any) -> Any:
    """Convert every ConfigDict in a value to a plain dict."""
    if isinstance(value, ConfigDict):
        return {key: unnested(item) for key, item in dict.items(value)}
    if type(value) in (list, tuple):
        return type(value)(map(unnested, value))
    return value


def copy_containers(value: Any) -> Any:
    """Return a copy of the dicts, lists, tuples and sets in a value; other values are shared.

    Unlike `copy.deepcopy` it accepts values that cannot be copied, such as generators and modules.
    """
    kind = type(value)
    # Reading a config copies its bases, so this function is most of the time of a reading.
    if kind is ConfigDict:
        new = new_dict(value._marks_.copy())
        for key, item in dict.items(value):
            _set(new, key, copy_containers(item) if type(item) in _COPIED else item)
        return new
    if kind is list or kind is tuple:
        for item in value:
            if type(item) in _COPIED:
                return kind([copy_containers(item) for item in value])
        return value.copy() if kind is list else value
    if kind is dict:
        return {key: copy_containers(item) for key, item in value.items()}
    return value.copy() if kind is set else value


_COPIED: Final = frozenset([ConfigDict, dict, list, set, tuple])


def holds_lazy(value: Any) -> bool:
    """Return whether a value contains a lazy name, which reading it would import."""
    if type(value) in (list, tuple):
        return LazyObject.created and any(map(holds_lazy, value))
    return type(value) is LazyObject


def real(value: Any) -> Any:
    """Import the lazy names in a value, and return the result; a list is changed in place."""
    if type(value) is LazyObject:
        return value.resolve()
    if LazyObject.created and type(value) in (list, tuple) and holds_lazy(value):
        if type(value) is tuple:
            return tuple(map(real, value))
        # In place: `cfg.hooks.append(…)` must change the list that the config stores.
        value[:] = map(real, value)
    return value
