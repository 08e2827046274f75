"""Write a merged config in any of the three formats."""

from __future__ import annotations

import json
import math
import numbers
import os
import types
from collections.abc import Callable
from typing import Any, Final

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigFormatError
from engine_config._lazy import LazyObject, import_path
from engine_config.read._files import FORMATS, suffix_of
from engine_config.read._substitution import escaped
from engine_config.write._calls import is_exact_real, plain_scalar
from engine_config.write._rejected import Rejected, rejection
from engine_config.write._text import python_text
from engine_utils import expand_home

_ELSEWHERE: Final = "; write the config as Python, or remove the key"


def dump(
    values: ConfigDict,
    file: str | os.PathLike[str] | None,
    *,
    source: str | None,
    wrapped: bool = True,
) -> str | None:
    """Write a config to a file, or return its text if there is no file.

    Args:
        values: The config.
        file: The file, on the disk or in a storage; ``~`` is the home folder.
        source: The file the config was read from.
        wrapped: See `python_text`.

    Raises:
        ConfigFormatError: The suffix is not a config format.
        ConfigTypeError: A value cannot be written in this format; nothing is written.
    """
    path = None if file is None else expand_home(os.fspath(file))
    text = text_as(values, format_of(path, source), path, wrapped=wrapped)
    if path is None:
        return text
    from engine_fileio import put_text

    put_text(text, path)
    return None


def format_of(file: str | None, source: str | None) -> str:
    """Return the suffix of the format to write.

    Args:
        file: The file to write, or None. Its extension decides first.
        source: The file the config was read from, or None. Its extension decides next.
    """
    return (suffix_of(file) if file else "") or (suffix_of(source) if source else "") or ".py"


def text_as(values: ConfigDict, suffix: str, file: str | None, *, wrapped: bool = True) -> str:
    """Return a config as text.

    Args:
        values: The config.
        suffix: The format.
        file: The file to be written, for errors.
        wrapped: See `python_text`.

    Raises:
        ConfigFormatError: The suffix is not a config format.
        ConfigTypeError: A value cannot be written in this format.
    """
    if suffix not in FORMATS:
        message = f"{suffix!r} is not a config format; use {', '.join(FORMATS)}"
        raise ConfigFormatError(message, file=file)
    try:
        if suffix == ".py":
            return python_text(values, strict=True, wrapped=wrapped)
        return _json_text(values) if suffix == ".json" else _yaml_text(values)
    except Rejected as rejected:
        raise rejection(values, rejected) from None


def _json_text(values: ConfigDict) -> str:
    data = plain_data(values, _check_json, _check_json_key)
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        text = json.dumps(data)
    # Otherwise {{fileDirname}} would be replaced when the text is read again.
    return escaped(text, brace="\\u007b")


def _yaml_text(values: ConfigDict) -> str:
    # Imported here, for YAML only: PyYAML is as slow to import as this package.
    from engine_config.write._yaml import yaml_text

    return yaml_text(plain_data(values, _check_yaml, _check_yaml))


def plain_data(value: Any, check: Callable[[Any], None], check_key: Callable[[Any], None]) -> Any:
    """Convert a value to dicts, lists, strings, numbers, booleans and None.

    Tuples and sets become lists (sets are sorted), classes and functions become their import paths,
    paths become strings, and numbers of NumPy become numbers.

    Args:
        value: The value.
        check: A function that raises `Rejected` for a scalar that the format does not have.
        check_key: The same for a key.

    Raises:
        Rejected: A value would be read back as another one.
    """
    if isinstance(value, dict):
        return {
            _key(key, check_key): plain_data(item, check, check_key)
            for key, item in dict.items(value)
        }
    if isinstance(value, list | tuple):
        return [plain_data(item, check, check_key) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain_data(item, check, check_key) for item in value), key=repr)
    plain = _scalar(value)
    check(plain)
    return plain


def _key(key: Any, check_key: Callable[[Any], None]) -> Any:
    plain = _scalar(key)
    check_key(plain)
    return plain


def _scalar(value: Any) -> Any:
    value = plain_scalar(value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, LazyObject | type | types.FunctionType | types.BuiltinFunctionType):
        path = import_path(value)
        if path is not None:
            return ".".join(filter(None, path))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and is_exact_real(value):
        return float(value)
    raise Rejected(value, f"has no form in JSON and YAML{_ELSEWHERE}")


def _check_json(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Rejected(value, f"is not a number of JSON{_ELSEWHERE}")
    _check_size(value)


def _check_json_key(key: Any) -> None:
    # `json` would write the key 1 as "1".
    if not isinstance(key, str):
        raise Rejected(key, f"cannot be a key in JSON, where keys are strings{_ELSEWHERE}")


def _check_yaml(value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Rejected(value, f"is not text that YAML can hold{_ELSEWHERE}") from error
    _check_size(value)


def _check_size(value: Any) -> None:
    # Python does not read a decimal number of more than 4300 digits.
    if isinstance(value, int) and value.bit_length() >= 10_000:
        raise Rejected(value, f"has too many digits{_ELSEWHERE}")
