"""Import an optional library, or raise an error with the line that installs it."""

from importlib import import_module
from types import ModuleType


class MissingExtraError(ModuleNotFoundError):
    """An optional library is not installed; the message has the command that installs it."""


def import_extra(module: str, *, install: str, purpose: str) -> ModuleType:
    """Import a module of an optional library.

    Args:
        module: The module, such as ``"torch.utils.tensorboard"``.
        install: The requirement that installs it, such as ``"engine-fileio[s3]"``.
        purpose: The part of the program that needs the library; the message begins with it.

    Raises:
        ImportError: The module cannot be imported. It is a `MissingExtraError` if a module is
            missing. ``name`` holds the top-level package of ``module``.

    Example:
        >>> import_extra("json", install="json", purpose="this example").__name__
        'json'
        >>> import_extra("no_such", install="x[s3]", purpose="S3")
        Traceback (most recent call last):
        engine_utils._extras.MissingExtraError: S3 needs no_such (No ...); run: pip install "x[s3]"
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        # A library that is installed but broken must not look like a missing one.
        kind = MissingExtraError if isinstance(error, ModuleNotFoundError) else ImportError
        raise kind(
            f'{purpose} needs {library} ({error}); run: pip install "{install}"', name=library
        ) from error
