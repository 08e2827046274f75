"""The table of tracking backends.

A new backend is one file in this folder, one row here and, if it needs a library, one extra in
``pyproject.toml``. ``_classes.py`` repeats the classes for editors and type checkers.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from engine_utils import import_extra
from engine_visualization.backends._base import BaseVisBackend


class BackendRow(NamedTuple):
    """One tracking backend.

    Attributes:
        name: The value of ``type`` in a config that chooses it.
        backend: The class, as ``"module:class"``.
        extra: The extra of engine-visualization that installs its library, or None if it needs
            none.

    Example:
        >>> where = "engine_visualization.backends._local:LocalVisBackend"
        >>> BackendRow("LocalVisBackend", where).load()("runs").save_dir
        'runs'
    """

    name: str
    backend: str
    extra: str | None = None

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.backend.partition(":")[2]

    def load(self) -> type[BaseVisBackend]:
        """Return the class, imported if needed."""
        module, _, name = self.backend.partition(":")
        loaded: type[BaseVisBackend] = getattr(import_module(module), name)
        return loaded


_HERE = "engine_visualization.backends"

ROWS = (
    BackendRow("LocalVisBackend", f"{_HERE}._local:LocalVisBackend"),
    BackendRow(
        "TensorboardVisBackend", f"{_HERE}._tensorboard:TensorboardVisBackend", extra="tensorboard"
    ),
    BackendRow("WandbVisBackend", f"{_HERE}._wandb:WandbVisBackend", extra="wandb"),
)


def class_names() -> list[str]:
    """Return the names of the classes of all rows, sorted."""
    return sorted({row.class_name for row in ROWS})


def class_named(name: str, module: str) -> type[BaseVisBackend]:
    """Return the class of that name, for the ``__getattr__`` of ``module``.

    Raises:
        AttributeError: No row has a class of this name.
    """
    for row in ROWS:
        if row.class_name == name:
            return row.load()
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def import_library(backend: str, module: str) -> ModuleType:
    """Import a module of the library that a backend needs.

    Args:
        backend: The name of the backend's row.
        module: The module, such as ``"torch.utils.tensorboard"``.

    Raises:
        ImportError: It cannot be imported; the message holds the line that installs it.
    """
    row = next(row for row in ROWS if row.name == backend)
    return import_extra(
        module, install=f"engine-visualization[{row.extra}]", purpose=row.class_name
    )
