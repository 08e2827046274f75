"""Register the tracking backends of the table, and build a backend from its config."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from engine_registry import VISBACKENDS
from engine_utils import MissingExtraError
from engine_visualization.backends._base import BaseVisBackend
from engine_visualization.backends._row import BackendRow
from engine_visualization.backends._table import ROWS


def add_row(row: BackendRow) -> None:
    """Register the class of a row in `VISBACKENDS`, under the name of the row."""
    VISBACKENDS.register_module(row.name, module=row.load())


# This imports the files of all rows, but not their libraries, which load at the first record.
for _row in ROWS:
    add_row(_row)


def build_backend(config: Mapping[str, Any]) -> BaseVisBackend:
    """Build a backend from its config, whose ``type`` is a class or a registered name.

    Raises:
        MissingExtraError: A library of the backend is not installed; the message has the command
            that installs it.
    """
    check_installed(config.get("type"))
    backend: BaseVisBackend = VISBACKENDS.build(dict(config))
    return backend


def check_installed(kind: object) -> None:
    """Raise if a library of a backend is missing; do nothing if there is no such backend.

    Args:
        kind: The class of a backend, or its registered name.

    Raises:
        MissingExtraError: The message has the command that installs the library.
    """
    try:
        found = VISBACKENDS.in_default_scope().get(kind) if isinstance(kind, str) else kind
    except KeyError:
        return  # the registry reports the name when the backend is built
    if isinstance(found, type) and issubclass(found, BaseVisBackend):
        for module, requirement in found.libraries.items():
            if find_spec(module) is None:
                raise MissingExtraError(
                    f"{found.__name__} needs {module}, which is not installed; run: "
                    f'pip install "{requirement}"',
                    name=module,
                )


def class_names() -> list[str]:
    """Return the names of the classes of all rows, sorted."""
    return sorted({row.class_name for row in ROWS})


def class_named(name: str, module: str) -> type[BaseVisBackend]:
    """Return the class of that name, for the `__getattr__` of ``module``.

    Raises:
        AttributeError: No row has a class of this name.
    """
    for row in ROWS:
        if row.class_name == name:
            return row.load()
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
