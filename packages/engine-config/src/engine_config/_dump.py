"""Writes a merged config in any of the three formats."""

from __future__ import annotations

import json
import numbers
import os
import types
from typing import Any

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigFormatError
from engine_config._lazy import LazyObject, dotted_name
from engine_config._read import FORMATS, suffix_of
from engine_config._text import python_text


def format_of(file: str | None, source: str | None) -> str:
    """Return the suffix of the format to write.

    Args:
        file: the file to write, if there is one; its extension decides, if it has any.
        source: the file the config was read from, if there is one; its extension decides next.
    """
    return (suffix_of(file) if file else "") or (suffix_of(source) if source else "") or ".py"


def text_as(values: ConfigDict, suffix: str, file: str | None) -> str:
    """Return a config as text.

    Args:
        values: the config.
        suffix: the format.
        file: the file it is meant for, for errors.

    Raises:
        ConfigFormatError: there is no such format.
    """
    if suffix not in FORMATS:
        message = f"{suffix!r} is not a config format; use {', '.join(FORMATS)}"
        raise ConfigFormatError(message, file=file)
    if suffix == ".py":
        return python_text(values)
    data = plain_data(values)
    if suffix == ".json":
        return json.dumps(data, ensure_ascii=False)
    from engine_config._yaml import write  # PyYAML is slow to import

    return write(data)


def plain_data(value: Any) -> Any:
    """Return a value made of dicts, lists, strings, numbers, booleans and None only.

    Tuples and sets become lists (sets sorted), classes and functions their import paths, and
    anything else its `repr`.
    """
    if isinstance(value, dict):
        return {_key(key): plain_data(item) for key, item in dict.items(value)}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    return _other(value)


def _key(key: Any) -> Any:
    return key if key is None or isinstance(key, str | int | float | bool) else repr(key)


def _other(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(map(plain_data, value), key=repr)
    if isinstance(value, LazyObject):
        return str(value)
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return dotted_name(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, numbers.Integral):  # NumPy's integers too, which are no int
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return str(value) if isinstance(value, str) else repr(value)
