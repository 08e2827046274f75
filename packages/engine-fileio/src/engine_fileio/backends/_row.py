"""A row of the table of storage backends."""

from importlib import import_module
from typing import NamedTuple

from engine_fileio.backends._base import BaseStorageBackend


class BackendRow(NamedTuple):
    """One storage backend.

    Attributes:
        name: The value of ``backend`` in ``backend_args`` that chooses it.
        backend: The class, or ``"module:class"`` of a class that is imported on first use.
        prefixes: The URI schemes that choose it.
        secrets: The arguments that are masked in logs and stored configs, beside names such as
            ``token`` and ``password``.

    Example:
        >>> row = BackendRow("local", "engine_fileio.backends._local:LocalBackend", ("file",))
        >>> row.class_name, row.load()().allow_symlink
        ('LocalBackend', True)
    """

    name: str
    backend: str | type[BaseStorageBackend]
    prefixes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def class_name(self) -> str:
        """The name of the class; reading it does not import the class."""
        if isinstance(self.backend, str):
            return self.backend.partition(":")[2]
        return self.backend.__name__

    def load(self) -> type[BaseStorageBackend]:
        """Return the class, imported if needed."""
        if not isinstance(self.backend, str):
            return self.backend
        module, _, name = self.backend.partition(":")
        loaded: type[BaseStorageBackend] = getattr(import_module(module), name)
        return loaded
