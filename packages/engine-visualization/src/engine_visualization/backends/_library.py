"""Import the library of a backend, or raise an error with the command that installs it."""

from types import ModuleType

from engine_utils import import_extra


def import_library(extra: str, module: str) -> ModuleType:
    """Import a module of the library that a backend needs.

    Args:
        extra: The extra of engine-visualization that installs the library.
        module: The module, such as ``"torch.utils.tensorboard"``.

    Raises:
        ImportError: The module cannot be imported; the message has the command that installs it.
    """
    install = f"engine-visualization[{extra}]"
    return import_extra(module, install=install, purpose=f"the tracking backend {extra}")
