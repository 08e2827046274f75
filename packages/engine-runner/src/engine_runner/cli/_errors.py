"""Which errors are a user's mistake, to be told in words rather than by a traceback."""

from engine_config import ConfigError
from engine_model.weights import WeightsError
from engine_registry import RegistryError
from engine_runner._errors import NotConfiguredError, SettingsError


def mistake(error: BaseException) -> str | None:
    """Return what to tell the user, or ``None`` if the error is not a mistake of theirs.

    Errors of the user's own code (a model that raises ``ValueError``) are none: for those only
    the traceback helps.
    """
    known = (ConfigError, RegistryError, SettingsError, NotConfiguredError, WeightsError)
    if isinstance(error, known):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else str(error)
    return None
