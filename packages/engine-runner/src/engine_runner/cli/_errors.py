"""Report a mistake of the user as a message, without a traceback."""

import errno
import linecache
from types import TracebackType

from engine_config import ConfigError
from engine_dist import DistError
from engine_fileio import StorageError
from engine_model.weights import WeightsError
from engine_registry import RegistryError
from engine_runner._errors import NotConfiguredError
from engine_utils import MissingExtraError

_KNOWN = (
    ConfigError,
    DistError,
    RegistryError,
    StorageError,
    WeightsError,
    MissingExtraError,
)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_DETAILS = ("imported for this look-up:", "not installed:")


def mistake(error: BaseException) -> str | None:
    """Return the message for the user, or ``None`` if the error is not a mistake of theirs.

    An error of the user's own code, such as a model that raises ``ValueError``, needs the
    traceback.
    """
    if isinstance(error, _KNOWN) or type(error).__module__ == NotConfiguredError.__module__:
        return _message(str(error), getattr(error, "__notes__", []))
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else str(error)
    if isinstance(error, ConnectionError | PermissionError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    if isinstance(error, ImportError) and "pip install" in str(error):
        return str(error)  # a missing extra, whose message has the command
    return str(error) if _is_of_ours(error) else None


def _is_of_ours(error: BaseException) -> bool:
    """Return whether a ``raise`` of one of our packages, and not of a library, raised the error.

    Its message then names the value and the way out. An error with a cause may hide the user's own
    code, which the traceback shows.
    """
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or error.__cause__ is not None:
        return False
    module = str(last.tb_frame.f_globals.get("__name__", ""))
    line = linecache.getline(last.tb_frame.f_code.co_filename, last.tb_lineno)
    return module.startswith("engine_") and line.lstrip().startswith("raise ")


def without_details(text: str) -> str:
    """Return a message without its lines about how a name was looked up."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith(_DETAILS))


def _message(text: str, notes: list[str]) -> str:
    """Return an error's text and notes, or the notes alone where they repeat the text."""
    if not notes:
        return without_details(text)
    first, *_ = text.splitlines()
    places = [without_details(note) for note in dict.fromkeys(notes)]
    repeated = any(first in place for place in places)
    return "\n".join(places if repeated else [first, *places])
