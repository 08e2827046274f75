"""The places of keys: what a `ConfigDict` remembers of the file and line that set each key."""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from engine_config._errors import ConfigError

if TYPE_CHECKING:
    from engine_config._origin import Origin

_Error = TypeVar("_Error", bound=ConfigError)


class Source:
    """A text that marks point into. One object a file, shared by all marks and by their copies.

    Args:
        file: the path of the file, or the name of a command-line option.
        text: the text of the file, or the argument of the option.
        is_option: whether it is an option.
    """

    __slots__ = ("_lines", "file", "is_option", "text")

    def __init__(self, file: str, text: str, is_option: bool = False) -> None:
        self.file, self.text, self.is_option = file, text, is_option
        self._lines: list[str] | None = None  # few configs are asked for the text of a line

    def __deepcopy__(self, memo: object) -> Source:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (Source, (self.file, self.text, self.is_option))

    def line_text(self, line: int) -> str:
        """Return the stripped text of a line, or an empty string beyond the end."""
        if self._lines is None:
            self._lines = self.text.split("\n")
        return self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""


class Mark:
    """The place a key was given its value; for a list, `items` holds the places of its elements."""

    __slots__ = ("items", "line", "source")

    def __init__(self, source: Source, line: int, items: tuple[Mark, ...] | None = None) -> None:
        self.source = source
        self.line = line
        self.items = items

    def __deepcopy__(self, memo: object) -> Mark:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (Mark, (self.source, self.line, self.items))

    def origin(self) -> Origin:
        """Return what users are shown."""
        from engine_config._origin import origin_at  # few keys are ever asked for theirs

        return origin_at(self.source, self.line)


NOWHERE: Final = Mark(Source("", ""), 0)  # of what nothing is known about

_program_sources: dict[str, Source] = {}


def caller_mark() -> Mark:
    """Return a mark for the line of the program that called into this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    if frame is None:
        return Mark(Source("<program>", ""), 0)
    file = frame.f_code.co_filename
    source = _program_sources.get(file)
    if source is None:
        source = _program_sources.setdefault(file, Source(file, ""))
    return Mark(source, frame.f_lineno)


def join(path: str, key: Any) -> str:
    """Return the dotted path of a key below a path."""
    return f"{path}.{key}" if path else str(key)


def shown(value: Any) -> str:
    """Return a short text of a value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def error_at(kind: type[_Error], message: str, mark: Mark, path: str) -> _Error:
    """Return an error that names the place of a mark."""
    return kind(message, file=mark.source.file, line=mark.line, key_path=path)
