"""Merge options of the command line: ``key=value`` texts, and dicts with dotted keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine_config._dict import ConfigDict, copy_containers, marks_of, nested
from engine_config._errors import ConfigKeyError, ConfigParseError
from engine_config._keys import join, malformed, reserved
from engine_config._marks import Mark, Source, caller_mark
from engine_config.merge._merge import Merging, Note
from engine_config.read._values import parse_value


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """Parse ``key=value`` texts into a dict with dotted keys.

    A value is an integer, float, boolean, None, string, list or tuple: ``lr=0.1``, ``norm=none``,
    ``steps=[8,11]``, ``steps=8,11``, ``betas=(0.9,0.99)``, ``pairs=[(a,b),(c,d)]``. A dict is
    written as in Python. Quotes make any value a string: ``name="'1'"``.

    Args:
        items: The texts.

    Returns:
        The values by dotted key, in order. If a key is given twice, the last value counts.

    Raises:
        ConfigParseError: A text is malformed; the message names it.
        TypeError: ``items`` is not a list of strings.

    Example:
        >>> parse_overrides(["optimizer.lr=1e-3", "model.in_channels=[1,1,1]"])
        {'optimizer.lr': 0.001, 'model.in_channels': [1, 1, 1]}
    """
    if isinstance(items, str):
        raise TypeError(f"items must be a list of key=value texts; write [{items!r}]")
    result: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"an item must be a key=value text, got {item!r}")
        key, equals, text = item.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise ConfigParseError(f"{item!r} is not of the form key=value or part.part.key=value")
        try:
            result.pop(key, None)  # a key given twice moves to its later position
            result[key] = parse_value(text)
        except RecursionError as error:
            raise ConfigParseError(f"{item!r} is nested too deeply") from error
        except ValueError as error:
            raise ConfigParseError(f"{item!r}: {error}") from error
    return result


def expand(options: Mapping[str, Any], mark_of: Callable[[str, Any], Mark]) -> ConfigDict:
    """Return options with dotted keys as nested dicts whose keys are marked.

    Args:
        options: The values by dotted key; they are copied.
        mark_of: A function that returns the mark of an option, given its key and value.

    Raises:
        ConfigKeyError: One option sets a key that another one uses as a dict.
    """
    root = ConfigDict()
    for dotted, value in options.items():
        mark = mark_of(dotted, value)
        single = ConfigDict()
        inner = single
        *parents, last = str(dotted).split(".")
        for key in parents:
            child = ConfigDict()
            _put(inner, key, child, mark)
            inner = child
        _put(inner, last, _marked(copy_containers(value), mark), mark)
        _combine(root, single, "")
    return root


def _put(target: ConfigDict, key: Any, value: Any, mark: Mark) -> None:
    dict.__setitem__(target, key, value)
    marks_of(target)[key] = mark


def _marked(value: Any, mark: Mark) -> Any:
    value = nested(value)
    if isinstance(value, ConfigDict):
        for key, item in dict.items(value):
            marks_of(value)[key] = mark
            _marked(item, mark)
    elif isinstance(value, list | tuple):
        for item in value:
            _marked(item, mark)
    return value


def _combine(root: ConfigDict, new: ConfigDict, path: str) -> None:
    for key, value in dict.items(new):
        here, current = join(path, key), dict.get(root, key)
        if isinstance(current, ConfigDict) and isinstance(value, ConfigDict):
            _combine(current, value, here)
        elif key in root and isinstance(current, ConfigDict) != isinstance(value, ConfigDict):
            raise ConfigKeyError(
                "one option sets this key, another one sets a key inside of it",
                key_path=here,
            )
        else:
            _put(root, key, value, marks_of(new)[key])


def merge_given(
    config: ConfigDict, options: Mapping[str, Any], *, list_keys: bool, origin: str | None
) -> list[Note]:
    """Merge options with dotted keys into a config; the arguments are those of `Config`.

    Raises:
        ConfigKeyError: A key is malformed or reserved, or a list has no such element.
        TypeError: ``options`` is not a mapping.
    """
    caller = caller_mark() if origin is None else None

    def mark_of(key: str, value: Any) -> Mark:
        return caller or Mark(Source(origin or "", f"{key}={value}", is_option=True), 0)

    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a mapping, got {type(options).__name__}")
    for key in options:
        if reason := malformed(str(key)) or reserved(str(key).partition(".")[0]):
            raise ConfigKeyError(reason, key_path=str(key))
    return merge_options(config, expand(options, mark_of), list_keys=list_keys)


def merge_options(config: ConfigDict, options: ConfigDict, *, list_keys: bool) -> list[Note]:
    """Merge expanded options into a config, and return the notes of the merge.

    If an option raises, the config is unchanged.
    """
    merging = Merging(list_keys=list_keys, overriding=True)
    # Merge into a copy: a merge that fails half way would leave some options in the config.
    trial = copy_containers(config)
    merging.merge(trial, options)
    for key in dict.keys(trial):
        if key in options:
            _put(config, key, dict.__getitem__(trial, key), marks_of(trial)[key])
    return merging.notes
