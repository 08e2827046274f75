"""The file handler of a logger, which survives a full disk."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine_logging._handlers import Formatter, report_failure
from engine_utils import call_mistakes, did_you_mean

_KINDS = (
    "FileHandler",
    "RotatingFileHandler",
    "TimedRotatingFileHandler",
    "WatchedFileHandler",
)


class SurvivingFileHandler(logging.FileHandler):
    """Write to a file; a full disk is reported once on stderr, and never raises.

    `build_file_handler` derives the class of a handler from this one and from its kind.
    """

    _has_reported = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Report a file that cannot be written once, without a traceback."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._failed(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; lines that still do not fit on the disk are dropped."""
        try:
            super().close()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        if not self._has_reported:
            self._has_reported = True
            report_failure(f"the log file {self.baseFilename} cannot be written ({error.strerror})")


def build_file_handler(path: Path, mode: str, cfg: Mapping[str, Any]) -> logging.FileHandler:
    """Return the handler of a log file, with the format of the log lines.

    Args:
        path: The file.
        mode: ``"w"`` or ``"a"``; the other kinds append.
        cfg: ``type``, the kind of handler by name or class, and arguments of the kind.

    Raises:
        TypeError: The kind does not take an argument.
        ValueError: ``type`` is not such a handler, or ``cfg`` has a ``filename``.
    """
    arguments = dict(cfg)
    kind = _kind(arguments.pop("type", "FileHandler"))
    if "filename" in arguments:
        raise ValueError(
            "file_handler_cfg must not have a filename, which is log_file; "
            f"got {arguments['filename']!r}"
        )
    arguments = {"filename": path, "encoding": "utf-8", **arguments}
    if kind is logging.FileHandler:  # the other kinds append, or take no mode
        arguments.setdefault("mode", mode)
    for mistake in call_mistakes(kind, arguments):
        raise TypeError(f"file_handler_cfg: {mistake.message}")
    survives = type(kind.__name__, (SurvivingFileHandler, kind), {})
    handler: logging.FileHandler = survives(**arguments)
    handler.setFormatter(Formatter())
    return handler


def _kind(given: Any) -> type[logging.FileHandler]:
    if isinstance(given, type) and issubclass(given, logging.FileHandler):
        return given
    if given == "FileHandler":
        return logging.FileHandler
    if given in _KINDS:
        import logging.handlers as handlers  # it loads sockets, which few logs need

        kind: type[logging.FileHandler] = getattr(handlers, given)
        return kind
    hint = did_you_mean(given, _KINDS) if isinstance(given, str) else ""
    raise ValueError(
        f"type of file_handler_cfg must be a subclass of logging.FileHandler or one of "
        f"{', '.join(_KINDS)}, got {given!r}{hint}"
    )
