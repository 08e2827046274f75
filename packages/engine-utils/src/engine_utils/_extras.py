"""Import an optional library, or raise an error with the line that installs it."""

from importlib import import_module
from types import ModuleType


def import_extra(module: str, *, install: str, purpose: str) -> ModuleType:
    """Import a module of an optional library.

    Args:
        module: The module, such as ``"torch.utils.tensorboard"``.
        install: The requirement that installs it, such as ``"engine-fileio[s3]"``.
        purpose: The part of the program that needs the library; the message begins with it.

    Raises:
        ImportError: The module cannot be imported. It is a ``ModuleNotFoundError`` if a module is
            missing. ``name`` holds the top-level package of ``module``.

    Example:
        >>> import_extra("json", install="json", purpose="this example").__name__
        'json'
        >>> import_extra("no_such", install="engine-x[s3]", purpose="S3Backend")
        Traceback (most recent call last):
        ModuleNotFoundError: S3Backend needs no_such (No ...); run: pip install "engine-x[s3]"
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        # A library that is installed but broken must not look like a missing one.
        kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ImportError
        raise kind(
            f'{purpose} needs {library} ({error}); run: pip install "{install}"', name=library
        ) from error
