"""Load and dump pickle files, with an unpickler that runs no code."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

from engine_fileio._errors import UntrustedDataError
from engine_fileio._paths import StrPath
from engine_fileio.handlers._base import BaseFileHandler


class PickleHandler(BaseFileHandler):
    """Pickle through the standard library.

    **Loading a pickle runs code that the pickle names.** Load files of others with
    ``load(path, trusted=False)``, which accepts plain data only: None, booleans, numbers, text,
    bytes, lists, tuples, dicts, sets and ordered dicts.

    ``dump`` writes protocol 2 unless ``protocol`` is given.

    Example:
        >>> import io
        >>> handler = PickleHandler()
        >>> handler.load_untrusted(io.BytesIO(handler.dump_to_str({"boxes": [1, 2.5]})))
        {'boxes': [1, 2.5]}
    """

    str_like: ClassVar[bool] = False

    def load_from_fileobj(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Load an object from an open binary file, and run the code that the pickle names."""
        return pickle.load(file, **kwargs)

    def load_from_path(self, filepath: StrPath, mode: str = "rb", **kwargs: Any) -> Any:
        """Load an object from a local file, and run the code that the pickle names."""
        return super().load_from_path(filepath, mode=mode, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> bytes:
        """Return an object as bytes."""
        file = io.BytesIO()
        self.dump_to_fileobj(obj, file, **kwargs)
        return file.getvalue()

    def dump_to_fileobj(self, obj: Any, file: IO[bytes], **kwargs: Any) -> None:
        """Write an object to an open binary file."""
        kwargs.setdefault("protocol", 2)
        pickle.dump(obj, file, **kwargs)

    def dump_to_path(self, obj: Any, filepath: StrPath, mode: str = "wb", **kwargs: Any) -> None:
        """Write an object to a local file, atomically."""
        super().dump_to_path(obj, filepath, mode=mode, **kwargs)

    def load_untrusted(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Load plain data from an open binary file.

        Raises:
            UntrustedDataError: The pickle names another class or function, which is neither
                imported nor called.
        """
        return _PlainUnpickler(file, **kwargs).load()


def _latin_bytes(text: str, encoding: str = "latin1") -> bytes:
    """Return the bytes that protocol 2 stores as text."""
    return text.encode("latin1")


# Calling these with any arguments returns plain data and has no side effects.
_PLAIN: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _latin_bytes,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "bytearray"): bytearray,
    ("builtins", "bytes"): bytes,
    ("builtins", "complex"): complex,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "set"): set,
}


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that imports nothing: it finds classes in ``_PLAIN`` only."""

    def find_class(self, module: str, name: str) -> Any:
        # Protocols below 3 write builtins under the module name of Python 2.
        module = "builtins" if module == "__builtin__" else module
        try:
            return _PLAIN[module, name]
        except KeyError:
            raise UntrustedDataError(
                f"the pickle names {module}.{name}, which is not plain data; pass trusted=True "
                "only if you trust the author of the file, as loading it runs code"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise UntrustedDataError(f"the pickle refers to the object {pid!r} outside the file")
