"""Report a value that cannot be written as text, with its key and the place that set it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigTypeError
from engine_config._marks import NOWHERE, error_at
from engine_config.origin import walk

_WIDTH: Final = 80


class Rejected(Exception):
    """A value has no text in the format to be written.

    Args:
        value: The value.
        reason: The rest of a sentence that begins with the value.
    """

    def __init__(
        self,
        value: Any,
        reason: str = (
            "cannot be written as text that reads back equal; remove the key, or give the value "
            "with literals or with classes and functions of an importable module"
        ),
    ) -> None:
        super().__init__(reason)
        self.value, self.reason = value, reason


def rejection(config: ConfigDict, rejected: Rejected) -> ConfigTypeError:
    """Return the error for a value that was rejected, with its key and the line that set it."""
    for path, mark, value in walk(config, NOWHERE, ""):
        if any(part is rejected.value for part in _parts(value)):
            return error_at(ConfigTypeError, _message(rejected), mark, path)
    return ConfigTypeError(_message(rejected))


def _message(rejected: Rejected) -> str:
    return f"{shortened(rejected.value)} {rejected.reason}"


def _parts(value: Any) -> Iterator[Any]:
    """Yield a value, and what is in it that has no key path of its own."""
    yield value
    if isinstance(value, ConfigDict):
        yield from dict.keys(value)
    elif isinstance(value, set | frozenset):
        yield from value
    elif isinstance(value, functools.partial):
        for part in (value.func, *value.args, *value.keywords.values()):
            yield from _parts(part)


def shortened(value: Any) -> str:
    """Return the ``repr`` of a value on one line, cut to 80 characters, without addresses."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # the code of the value may raise anything
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    # Addresses differ in every run, and would show as changes of the config.
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
