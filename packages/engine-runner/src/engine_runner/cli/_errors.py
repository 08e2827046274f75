"""Which errors are a user's mistake, to be told in words rather than by a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine_config import Config, ConfigError
from engine_model.weights import WeightsError
from engine_registry import RegistryError
from engine_runner._errors import NotConfiguredError, SettingsError
from engine_runner._supplied import runner_resolver


@contextmanager
def pointing_at(config: Config) -> Iterator[None]:
    """Add to an error of building where in the config the mistakes are.

    Only when building fails is the config checked: what a check cannot know would otherwise stop a
    training that is right.
    """
    try:
        yield
    except RegistryError as error:
        for problem in config.check(runner_resolver()):
            error.add_note(str(problem))
        raise


def mistake(error: BaseException) -> str | None:
    """Return what to tell the user, or ``None`` if the error is not a mistake of theirs.

    Errors of the user's own code (a model that raises ``ValueError``) are none: for those only
    the traceback helps.
    """
    known = (ConfigError, RegistryError, SettingsError, NotConfiguredError, WeightsError)
    if isinstance(error, known):
        return "\n".join([str(error), *getattr(error, "__notes__", ())])
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else str(error)
    return None
