"""JSON."""

import json
from typing import IO, Any

from engine_fileio.handlers._base import BaseFileHandler
from engine_fileio.handlers._plain import plain


class JsonHandler(BaseFileHandler):
    """JSON through the standard library; sets, ranges and numpy values become lists and numbers.

    Keyword arguments of ``load`` and ``dump`` go to ``json.load`` and ``json.dump``.

    Example:
        >>> JsonHandler().dump_to_str({"classes": {"dog", "cat"}})
        '{"classes": ["cat", "dog"]}'
    """

    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Read an object from an open file."""
        return json.load(file, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open text file."""
        kwargs.setdefault("default", plain)
        json.dump(obj, file, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        """Return an object as JSON text."""
        kwargs.setdefault("default", plain)
        return json.dumps(obj, **kwargs)

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Read an object from an open file; JSON holds nothing but plain data."""
        return self.load_from_fileobj(file, **kwargs)
