"""The console handler of a logger, and the format of the lines."""

import contextlib
import logging
import os
import sys
from typing import ClassVar, TextIO

from engine_utils import mask_text

_TREE = "engine"  # records of the loggers below it are shown under this name
_RESET = "\x1b[0m"
_COLORS = {
    logging.DEBUG: "\x1b[34m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}

# The maximum number of warnings that a filter stores, which bounds its memory in a long run.
_STORED_WARNINGS = 4096


class Formatter(logging.Formatter):
    """Format a record as ``2026/01/31 12:00:00 - engine - INFO - message``.

    Errors also show file, function and line. Records of the ``engine.…`` loggers are shown as
    ``engine``. Passwords, and signatures in URLs, are masked.
    """

    # The latest second and its text, for all handlers: the lines of a second share it.
    _latest: ClassVar[tuple[int, str]] = (-1, "")

    def __init__(self) -> None:
        super().__init__(datefmt="%Y/%m/%d %H:%M:%S")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the text of the record's second."""
        second = int(record.created)
        latest = Formatter._latest
        if latest[0] != second:
            latest = Formatter._latest = (second, super().formatTime(record, datefmt))
        return latest[1]

    def usesTime(self) -> bool:  # noqa: N802 - the name is logging's
        """Return True, because every line has a time."""
        return True

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        """Return the line without the traceback."""
        parts = [record.asctime, _shown_name(record), self.level(record)]
        if record.levelno >= logging.ERROR:
            parts += [record.pathname, record.funcName, str(record.lineno)]
        # The text of a config, or a URL, may hold a password or a signature.
        return " - ".join([*parts, mask_text(record.message)])

    def level(self, record: logging.LogRecord) -> str:
        """Return the text of the level in the line."""
        return record.levelname


class ColorFormatter(Formatter):
    """Format a record like `Formatter`, with the level in color."""

    def level(self, record: logging.LogRecord) -> str:
        """Return the name of the level in its color."""
        color = _COLORS.get(record.levelno)
        return f"{color}{record.levelname}{_RESET}" if color else record.levelname


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Write to the current ``sys.stdout``, in color if that is a terminal.

    When its reader has gone, as in ``| head``, nothing more is written to it.
    """

    def __init__(self) -> None:
        # Not StreamHandler.__init__, which would set `stream` permanently.
        logging.Handler.__init__(self)
        self._plain, self._color = Formatter(), ColorFormatter()
        self._broken: TextIO | None = None
        self._has_reported = False
        self._known: TextIO | None = None
        self._current = self._plain

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # looked up for each record
        """The current standard output."""
        return sys.stdout

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless the program has no stdout, such as a service."""
        if sys.stdout is not None and sys.stdout is not self._broken:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Report a standard output that cannot be written once, without a traceback."""
        error = sys.exc_info()[1]
        stream = sys.stdout
        if isinstance(error, BrokenPipeError) or getattr(stream, "closed", False):
            self._broken = stream
        elif not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_reported:
            self._has_reported = True
            report_failure(f"the standard output cannot be written ({error.strerror})")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of the record."""
        if sys.stdout is not self._known:
            self._known = sys.stdout
            self._current = self._color if _has_color(sys.stdout) else self._plain
        return self._current.format(record)


class RepeatedWarningFilter(logging.Filter):
    """Pass each warning once: a warning per iteration would hide all other lines."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        if record.levelno != logging.WARNING:
            return True
        try:
            message = (record.name, record.getMessage())
        except Exception:  # the arguments do not fit the text: the handler reports that
            return True
        if message in self._seen:
            return False
        if len(self._seen) < _STORED_WARNINGS:
            self._seen.add(message)
        return True


def report_failure(failure: str) -> None:
    """Write a failure of the log to stderr, if that works."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(f"{failure}; the program continues without these lines\n")
            sys.stderr.flush()


def _shown_name(record: logging.LogRecord) -> str:
    return _TREE if record.name.startswith(f"{_TREE}.") else record.name


def _has_color(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(getattr(stream, "isatty", bool)())
