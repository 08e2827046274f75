"""Write a merged config in any of the three formats."""

from __future__ import annotations

import json
import numbers
import os
import types
from typing import Any

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigFormatError
from engine_config._lazy import LazyObject, dotted_name
from engine_config.read._files import FORMATS, suffix_of
from engine_config.write._text import python_text


def format_of(file: str | None, source: str | None) -> str:
    """Return the suffix of the format to write.

    Args:
        file: The file to write, or None. Its extension decides first.
        source: The file the config was read from, or None. Its extension decides next.
    """
    return (suffix_of(file) if file else "") or (suffix_of(source) if source else "") or ".py"


def text_as(values: ConfigDict, suffix: str, file: str | None) -> str:
    """Return a config as text.

    Args:
        values: The config.
        suffix: The format.
        file: The file to be written, for errors.

    Raises:
        ConfigFormatError: The suffix is not a config format.
    """
    if suffix not in FORMATS:
        message = f"{suffix!r} is not a config format; use {', '.join(FORMATS)}"
        raise ConfigFormatError(message, file=file)
    if suffix == ".py":
        return python_text(values)
    data = plain_data(values)
    if suffix == ".json":
        return json.dumps(data, ensure_ascii=False)
    # Imported here, for YAML only: PyYAML is as slow to import as this package.
    from engine_config.write._yaml import yaml_text

    return yaml_text(data)


def plain_data(value: Any) -> Any:
    """Convert a value to dicts, lists, strings, numbers, booleans and None.

    Tuples and sets become lists (sets are sorted), classes and functions become their import paths,
    and any other value becomes its ``repr``.
    """
    if isinstance(value, dict):
        return {_key(key): plain_data(item) for key, item in dict.items(value)}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    return _other(value)


def _key(key: Any) -> Any:
    # `json` converts keys of these types to strings, and raises for others.
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
    if isinstance(value, numbers.Integral):  # NumPy's integers too, which are not `int`
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return str(value) if isinstance(value, str) else repr(value)
