"""A config as data that JSON and YAML can hold."""

from __future__ import annotations

import os
import types
from typing import Any

from engine_config._lazy import LazyObject, dotted_name


def plain_data(value: Any) -> Any:
    """Return a value made of dicts, lists, strings, numbers, booleans and None only.

    Tuples and sets become lists (sets sorted), classes and functions their import paths, bytes
    text, and anything else its `repr`.
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
    for base in (str, int, float):
        if isinstance(value, base):
            return base(value)
    return repr(value)
