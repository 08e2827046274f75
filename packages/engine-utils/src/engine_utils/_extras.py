"""Import an optional library, or raise an error with the line that installs it."""

from importlib import import_module
from types import ModuleType


def import_extra(module: str, *, install: str, purpose: str) -> ModuleType:
    """Import a module of an optional library.

    Args:
        module: The module, such as ``"torch.utils.tensorboard"``.
        install: The requirement that installs it, such as ``"engine-fileio[s3]"``.
        purpose: The subject of the message, which needs the library.

    Raises:
        ImportError: The module cannot be imported. ``name`` holds its top-level package.

    Example:
        >>> import_extra("json", install="json", purpose="this example").__name__
        'json'
        >>> import_extra("no_such", install="engine-x[some]", purpose="S3Backend")
        Traceback (most recent call last):
        ...
        ImportError: S3Backend needs no_such (No module ...); run: pip install "engine-x[some]"
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(
            f'{purpose} needs {library} ({error}); run: pip install "{install}"', name=library
        ) from error
