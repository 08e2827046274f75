"""What a file format must be able to do."""

import os
from abc import ABCMeta, abstractmethod
from typing import IO, Any, ClassVar

from engine_fileio._atomic import atomic_write
from engine_fileio._errors import UntrustedDataError
from engine_fileio._paths import StrPath


class BaseFileHandler(metaclass=ABCMeta):
    """Base of all file handlers: one format, read from and written to open files.

    Attributes:
        str_like: Whether the format is text; a binary format sets it to False.

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
        """Read an object from an open file."""

    @abstractmethod
    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open file."""

    @abstractmethod
    def dump_to_str(self, obj: Any, **kwargs: Any) -> str | bytes:
        """Return an object as text, or as bytes for a binary format."""

    def load_from_path(self, filepath: StrPath, mode: str = "r", **kwargs: Any) -> Any:
        """Read an object from a local file; text is UTF-8."""
        mode = self._mode(mode)
        with open(filepath, mode, encoding=_encoding(mode)) as file:
            return self.load_from_fileobj(file, **kwargs)

    def dump_to_path(self, obj: Any, filepath: StrPath, mode: str = "w", **kwargs: Any) -> None:
        """Write an object to a local file, atomically in the modes ``w`` and ``wb``."""
        mode = self._mode(mode)
        if mode not in ("w", "wb"):
            with open(filepath, mode, encoding=_encoding(mode)) as file:
                self.dump_to_fileobj(obj, file, **kwargs)
            return
        with (
            atomic_write(filepath) as target,
            open(os.dup(target.fileno()), mode, encoding=_encoding(mode)) as file,
        ):
            self.dump_to_fileobj(obj, file, **kwargs)

    def load_untrusted(self, file: IO[Any], **kwargs: Any) -> Any:
        """Read an object from a file that may be hostile; only plain data may come of it.

        Raises:
            UntrustedDataError: The file holds more, or this handler cannot tell.
        """
        raise UntrustedDataError(
            f"{type(self).__name__} does not say how to read files that are not trusted; "
            "define its load_untrusted, or pass trusted=True for files you made"
        )

    def _mode(self, mode: str) -> str:
        return mode if self.str_like or "b" in mode else f"{mode}b"


def _encoding(mode: str) -> str | None:
    return None if "b" in mode else "utf-8"
