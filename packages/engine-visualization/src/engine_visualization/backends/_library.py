"""Import the library of a backend, or raise an error with the command that installs it."""

from importlib.util import find_spec
from types import ModuleType

from engine_utils import MissingExtraError, import_extra
from engine_visualization.backends._base import BaseVisBackend


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


def check_libraries(backend: type[BaseVisBackend]) -> None:
    """Raise if a library of a backend is not installed. Nothing is imported.

    Raises:
        MissingExtraError: A library is missing; the message has the command that installs it.
    """
    for module, requirement in backend.libraries.items():
        if find_spec(module) is None:
            raise MissingExtraError(
                f"{backend.__name__} needs {module}, which is not installed; run: "
                f'pip install "{requirement}"',
                name=module,
            )
