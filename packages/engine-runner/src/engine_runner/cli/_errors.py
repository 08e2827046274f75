"""Report a mistake of the user as a message, without a traceback."""

import errno

from engine_config import ConfigError
from engine_fileio import StorageError
from engine_model.weights import WeightsError
from engine_registry import RegistryError
from engine_runner._errors import NonFiniteLossError, NotConfiguredError, SettingsError

_KNOWN = (
    ConfigError,
    RegistryError,
    SettingsError,
    NotConfiguredError,
    NonFiniteLossError,
    StorageError,
    WeightsError,
)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_DETAILS = ("imported for this look-up:", "not installed:")


def mistake(error: BaseException) -> str | None:
    """Return the message for the user, or ``None`` if the error is not a mistake of theirs.

    An error of the user's own code, such as a model that raises ``ValueError``, needs the
    traceback.
    """
    if isinstance(error, _KNOWN):
        return _message(str(error), getattr(error, "__notes__", []))
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else str(error)
    if isinstance(error, ConnectionError | PermissionError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    return None


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
