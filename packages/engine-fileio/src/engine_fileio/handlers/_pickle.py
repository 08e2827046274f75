"""Pickle, and a reader of pickles that runs no code."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

from engine_fileio._errors import UntrustedDataError
from engine_fileio._paths import StrPath
from engine_fileio.handlers._base import BaseFileHandler


class PickleHandler(BaseFileHandler):
    """Pickle through the standard library.

    **Reading a pickle runs code that the pickle chooses.** Read files of others with
    ``load(path, trusted=False)``, which accepts plain data only: None, booleans, numbers, text,
    bytes, lists, tuples, dicts, sets and ordered dicts.

    Written with protocol 2 unless ``protocol`` says otherwise.

    Example:
        >>> import io
        >>> handler = PickleHandler()
        >>> handler.load_untrusted(io.BytesIO(handler.dump_to_str({"boxes": [1, 2.5]})))
        {'boxes': [1, 2.5]}
    """

    str_like: ClassVar[bool] = False

    def load_from_fileobj(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Read an object from an open binary file, running what code the pickle names."""
        return pickle.load(file, **kwargs)

    def load_from_path(self, filepath: StrPath, mode: str = "rb", **kwargs: Any) -> Any:
        """Read an object from a local file, running what code the pickle names."""
        return super().load_from_path(filepath, mode=mode, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> bytes:
        """Return an object as bytes."""
        kwargs.setdefault("protocol", 2)
        return pickle.dumps(obj, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[bytes], **kwargs: Any) -> None:
        """Write an object to an open binary file."""
        kwargs.setdefault("protocol", 2)
        pickle.dump(obj, file, **kwargs)

    def dump_to_path(self, obj: Any, filepath: StrPath, mode: str = "wb", **kwargs: Any) -> None:
        """Write an object to a local file, atomically."""
        super().dump_to_path(obj, filepath, mode=mode, **kwargs)

    def load_untrusted(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Read plain data from an open binary file.

        Raises:
            UntrustedDataError: The pickle names any other class or function; nothing of it is
                imported or called.
        """
        return _PlainUnpickler(file, **kwargs).load()


def _latin_bytes(text: str, encoding: str = "latin1") -> bytes:
    """Rebuild bytes from the text that protocol 2 stores for them."""
    return text.encode("latin1")


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
    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        try:
            return _PLAIN[module, name]
        except KeyError:
            raise UntrustedDataError(
                f"the pickle wants {module}.{name}, which is not plain data; "
                "pass trusted=True only if you trust who wrote the file, as reading it runs code"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise UntrustedDataError("the pickle refers to objects outside itself")
