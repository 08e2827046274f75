"""Marks: the file and line that a `ConfigDict` stores for each key."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from types import FrameType
from typing import Final, TypeVar

from engine_config._errors import ConfigError

_Error = TypeVar("_Error", bound=ConfigError)


class Source:
    """The text of a file, to which marks refer; all marks of a file share one object.

    Args:
        file: The path of the file, or the name of a command-line option.
        text: The text of the file, or the argument of the option.
        is_option: Whether the text is that of a command-line option.
    """

    __slots__ = ("_lines", "file", "is_option", "text")

    def __init__(self, file: str, text: str, is_option: bool = False) -> None:
        self.file, self.text, self.is_option = file, text, is_option
        self._lines: list[str] | None = None  # split at first use, by few programs

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
    """The place that set the value of a key.

    Args:
        source: The text of its file or option.
        line: The line, counted from 1; 0 if it is not in a file.
        items: For a list, the places of its elements.
    """

    __slots__ = ("items", "line", "source")

    def __init__(self, source: Source, line: int, items: tuple[Mark, ...] | None = None) -> None:
        self.source = source
        self.line = line
        self.items = items

    # Marks are immutable, so copies of a config share them.
    def __deepcopy__(self, memo: object) -> Mark:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (Mark, (self.source, self.line, self.items))


NOWHERE: Final = Mark(Source("", ""), 0)  # for a value whose place is unknown

# The statement of a config that is being followed without running it: it has no frame.
followed_mark: ContextVar[Mark | None] = ContextVar("followed_mark", default=None)
SOURCE: Final = "__engine_source__"  # the global name of a running config's source
_program_sources: dict[str, Source] = {}
# The packages that make a config of what a program passes: the place is in the program.
_PACKAGES: Final = ("engine_config", "engine_runner")
_SUBPACKAGES: Final = tuple(f"{name}." for name in _PACKAGES)


def caller_mark() -> Mark:
    """Return a mark for the line of the program or config that sets a value."""
    followed = followed_mark.get()
    if followed is not None:
        return followed
    frame = _caller()
    if frame is None:
        return Mark(Source("<program>", ""), 0)
    file = frame.f_code.co_filename
    # A config that is running has its text at hand.
    source = frame.f_globals.get(SOURCE) or _program_sources.get(file)
    if source is None:
        # setdefault, because another thread may have added it: all marks of a file must share one
        # source.
        source = _program_sources.setdefault(file, Source(file, ""))
    return Mark(source, frame.f_lineno)


def called_by_config() -> bool:
    """Return whether the caller is a config file that is being read, and not a program."""
    if followed_mark.get() is not None:
        return True
    frame = _caller()
    return frame is not None and SOURCE in frame.f_globals


def _caller() -> FrameType | None:
    """Return the frame of the program or config that has called our packages."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        # Compare package names, not paths: comparing paths would access the disk for every key.
        package = frame.f_globals.get("__package__") or ""
        if package not in _PACKAGES and not package.startswith(_SUBPACKAGES):
            return frame
        frame = frame.f_back
    return None


def error_at(kind: type[_Error], message: str, mark: Mark, path: str) -> _Error:
    """Return an error that names the place of a mark."""
    return kind(message, file=mark.source.file, line=mark.line, key_path=path)
