"""Load and dump JSON files."""

import json
from typing import IO, Any

from engine_fileio.handlers._base import BaseFileHandler, plain_data


class JsonHandler(BaseFileHandler):
    """JSON through the standard library.

    Sets, ranges, arrays and tensors become lists and numbers. Keyword arguments of ``load`` and
    ``dump`` go to ``json.load`` and ``json.dumps``.

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
        kwargs.setdefault("default", plain_data)
        return json.dumps(obj, **kwargs)

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load an object from an open file; JSON holds plain data only."""
        return self.load_from_fileobj(file, **kwargs)
