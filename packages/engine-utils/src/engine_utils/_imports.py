"""Import modules by name."""

import importlib
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import overload


@overload
def import_modules_from_strings(
    imports: str, allow_failed_imports: bool = False
) -> ModuleType | None: ...
@overload
def import_modules_from_strings(
    imports: list[str] | tuple[str, ...], allow_failed_imports: bool = False
) -> list[ModuleType | None] | None: ...
@overload
def import_modules_from_strings(imports: None, allow_failed_imports: bool = False) -> None: ...


def import_modules_from_strings(
    imports: str | Sequence[str] | None, allow_failed_imports: bool = False
) -> ModuleType | list[ModuleType | None] | None:
    """Import the modules of these names.

    Args:
        imports: The name of a module, or a list of names.
        allow_failed_imports: Warn about a module that cannot be imported, and return None for it.

    Returns:
        The module for a name, a list for a list, and None for an empty value.

    Raises:
        ImportError: A module cannot be imported.
        TypeError: ``imports`` is neither a string nor a list of strings.

    Example:
        >>> path, system = import_modules_from_strings(["os.path", "sys"])
        >>> system.__name__
        'sys'
    """
    if not imports:
        return None
    if isinstance(imports, str):
        return _import(imports, allow_failed_imports)
    if not isinstance(imports, Sequence):
        raise TypeError(
            f"imports must be a string or a list of strings, got {type(imports).__name__}"
        )
    return [_import(name, allow_failed_imports) for name in imports]


def _import(name: str, allow_failed: bool) -> ModuleType | None:
    if not isinstance(name, str):
        raise TypeError(f"a module name must be a string, got {type(name).__name__}: {name!r}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if not allow_failed:
            raise ImportError(
                f"failed to import {name}: {error}", name=error.name, path=error.path
            ) from error
        # stacklevel: show the line that calls import_modules_from_strings.
        warnings.warn(f"failed to import {name}, which is skipped: {error}", stacklevel=3)
        return None
