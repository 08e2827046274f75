"""Write what a library prints about its start to the log file of the run."""

import logging
from types import ModuleType
from typing import Any

_logger = logging.getLogger("engine.visualization")


class _ToFile(logging.Filter):
    """Write the records below a level to the log file of the run, and pass the others."""

    def __init__(self, below: int) -> None:
        super().__init__()
        self._below = below

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the library itself shows a record."""
        if record.levelno >= self._below:
            return True
        _to_file(record.name, record.getMessage())
        return False


def records_to_file(*loggers: str, below: int = logging.WARNING) -> None:
    """Write the records of a library to the log file of the run, where it would show them.

    Args:
        *loggers: The loggers that make the records; those below them are unaffected.
        below: The least level that the library shows all the same.
    """
    for name in loggers:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _ToFile) for one in logger.filters):
            logger.addFilter(_ToFile(below))


def prints_to_file(*modules: ModuleType, start: str) -> None:
    """Write the texts that modules of a library print to the log file of the run instead.

    Args:
        *modules: The modules that call ``print``.
        start: How these texts start. Others are printed.
    """

    def write(*values: Any, **options: Any) -> None:
        text = " ".join(map(str, values))
        if text.startswith(start):
            _to_file(start.strip(), text)
        else:
            print(*values, **options)  # noqa: T201 - as the library does

    # A global of these modules: to redirect the standard output would redirect that of the
    # training, too, which runs in another thread.
    for module in modules:
        vars(module)["print"] = write


def _to_file(name: str, text: str) -> None:
    _logger.info("%s: %s", name, text, extra={"file_only": True})
