"""The base class of file handlers, and the conversion of values to plain data."""

import os
from abc import ABCMeta, abstractmethod
from typing import IO, Any, ClassVar

from engine_fileio._atomic import atomic_write
from engine_fileio._errors import UntrustedDataError
from engine_fileio._paths import StrPath, local_path
from engine_utils import plain_value


class BaseFileHandler(metaclass=ABCMeta):
    """Base class of file handlers: load and dump one format.

    Attributes:
        str_like: Whether the format is text. A binary format sets it to False.

    Example:
        >>> from engine_fileio import BaseFileHandler, dump, register_handler
        >>> @register_handler(["shout", "yell"])
        ... class ShoutHandler(BaseFileHandler):
        ...     def load_from_fileobj(self, file, **kwargs):
        ...         return file.read().lower()
        ...     def dump_to_fileobj(self, obj, file, **kwargs):
        ...         file.write(self.dump_to_str(obj))
        ...     def dump_to_str(self, obj, **kwargs):
        ...         return str(obj).upper()
        >>> dump("hey", file_format="yell")
        'HEY'
    """

    str_like: ClassVar[bool] = True

    @abstractmethod
    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load an object from an open file."""

    @abstractmethod
    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open file."""

    @abstractmethod
    def dump_to_str(self, obj: Any, **kwargs: Any) -> str | bytes:
        """Return an object as text, or as bytes if the format is binary."""

    def load_from_path(self, filepath: StrPath, mode: str = "r", **kwargs: Any) -> Any:
        """Load an object from a local file; text is UTF-8."""
        mode = self._mode(mode)
        with open(local_path(filepath), mode, encoding=_encoding(mode)) as file:
            return self.load_from_fileobj(file, **kwargs)

    def dump_to_path(self, obj: Any, filepath: StrPath, mode: str = "w", **kwargs: Any) -> None:
        """Write an object to a local file, atomically in the modes ``w`` and ``wb``."""
        mode = self._mode(mode)
        if mode not in ("w", "wb"):
            with open(local_path(filepath), mode, encoding=_encoding(mode)) as file:
                self.dump_to_fileobj(obj, file, **kwargs)
            return
        # The handler needs a text or binary file, so open a second file on the same descriptor. It
        # is closed, and so flushed, before atomic_write renames the file.
        with (
            atomic_write(filepath) as target,
            open(os.dup(target.fileno()), mode, encoding=_encoding(mode)) as file,
        ):
            self.dump_to_fileobj(obj, file, **kwargs)

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Load plain data from an untrusted file, without running code of the file.

        Raises:
            UntrustedDataError: The file holds more than plain data, or this handler does not define
                the method.
        """
        raise UntrustedDataError(
            f"{type(self).__name__} must define load_untrusted to load files with trusted=False; "
            "define it, or pass trusted=True for files that you wrote"
        )

    def _mode(self, mode: str) -> str:
        return mode if self.str_like or "b" in mode else f"{mode}b"


def plain_data(value: Any) -> Any:
    """Convert a set, a range, or a value of NumPy or PyTorch to lists and numbers.

    Raises:
        TypeError: The value is of another type.
    """
    plain = plain_value(value)
    if plain is value:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(f"{value!r} of type {kind} is not plain data; convert it before dumping")
    return plain


def _encoding(mode: str) -> str | None:
    return None if "b" in mode else "utf-8"
