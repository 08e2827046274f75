"""Load and dump JSON files."""

import json
import logging
from collections.abc import Callable
from typing import IO, Any

from engine_fileio.handlers._base import BaseFileHandler, plain_data
from engine_utils import finite_value

_logger = logging.getLogger("engine.fileio")


class JsonHandler(BaseFileHandler):
    """JSON through the standard library.

    Sets, ranges, arrays and tensors become lists and numbers. Keyword arguments of ``load`` and
    ``dump`` go to ``json.load`` and ``json.dumps``.

    JSON has no NaN and no infinity. They are written as ``null``, and a warning is logged.
    ``allow_nan=True`` writes Python's ``NaN`` and ``Infinity``, which other readers reject.

    Example:
        >>> JsonHandler().dump_to_str({"classes": {"dog", "cat"}})
        '{"classes": ["cat", "dog"]}'
    """

    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load an object from an open file."""
        return json.load(file, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open text file."""
        # Not json.dump, which encodes in Python: json.dumps encodes in C and is several times as
        # fast.
        file.write(self.dump_to_str(obj, **kwargs))

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        """Return an object as JSON text."""
        kwargs = {"default": plain_data, "allow_nan": False, **kwargs}
        try:
            return json.dumps(obj, **kwargs)
        except ValueError as error:
            if kwargs["allow_nan"] or not str(error).startswith("Out of range float values"):
                raise
        # Only here, because walking the values in Python is slow.
        _logger.warning("NaN and infinity are written as null, because JSON has neither")
        return json.dumps(finite_value(_plain(obj, kwargs["default"])), **kwargs)

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load an object from an open file; JSON holds plain data only."""
        return self.load_from_fileobj(file, **kwargs)


def _plain(value: Any, convert: Callable[[Any], Any]) -> Any:
    """Return dicts, lists and plain values, with all other values converted."""
    if isinstance(value, dict):
        return {key: _plain(item, convert) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, convert) for item in value]
    is_plain = value is None or isinstance(value, str | int | float)
    return value if is_plain else _plain(convert(value), convert)
