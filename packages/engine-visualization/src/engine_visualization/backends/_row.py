"""Define a row of the table of tracking backends."""

from importlib import import_module
from typing import NamedTuple

from engine_visualization.backends._base import BaseVisBackend


class BackendRow(NamedTuple):
    """One tracking backend.

    Attributes:
        name: The value of ``type`` in a config that chooses it.
        backend: The class, as ``"module:class"``.

    Example:
        >>> where = "engine_visualization.backends._local:LocalVisBackend"
        >>> BackendRow("LocalVisBackend", where).load()("runs").save_dir
        'runs'
    """

    name: str
    backend: str

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.backend.partition(":")[2]

    def load(self) -> type[BaseVisBackend]:
        """Import the class and return it."""
        module, _, name = self.backend.partition(":")
        loaded: type[BaseVisBackend] = getattr(import_module(module), name)
        return loaded
