"""Import the library of a backend, or raise an error with the line that installs it."""

from types import ModuleType

from engine_utils import import_extra


def import_library(extra: str, module: str) -> ModuleType:
    """Import a module of the library that a backend needs.

    Args:
        extra: The extra of engine-fileio that installs the library.
        module: The module, such as ``"botocore.config"``.

    Raises:
        ImportError: It cannot be imported; the message holds the line that installs it.
    """
    install = f"engine-fileio[{extra}]"
    return import_extra(module, install=install, purpose=f"the storage backend {extra}")
