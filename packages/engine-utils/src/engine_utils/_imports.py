"""Import modules by name."""

import importlib
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final, overload

_MISSING: Final = object()


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


def get_object_from_string(obj_name: str) -> Any:
    """Return the module, class, function or other object of a dotted name.

    Modules are imported as needed. Where a module has a submodule and an attribute of one name, the
    attribute is taken.

    Args:
        obj_name: The name, such as ``"torch.optim.SGD"`` or ``"os.path"``. It names code that runs:
            pass no names from untrusted data.

    Returns:
        The object; None if there is none of this name.

    Raises:
        TypeError: ``obj_name`` is not a string.
        ValueError: ``obj_name`` is empty or relative.
        Exception: The error of a module that exists, and cannot be imported.

    Example:
        >>> get_object_from_string("collections.OrderedDict.fromkeys")("ab")
        OrderedDict([('a', None), ('b', None)])
    """
    if not isinstance(obj_name, str):
        raise TypeError(f"obj_name must be a string, got {type(obj_name).__name__}: {obj_name!r}")
    path, *rest = obj_name.split(".")
    if not path:
        raise ValueError(f"obj_name must be an absolute dotted name, got {obj_name!r}")
    found = _submodule(path)
    for name in rest:
        path = f"{path}.{name}"
        parent, found = found, getattr(found, name, _MISSING)
        if found is _MISSING and isinstance(parent, ModuleType):
            found = _submodule(path)
    return None if found is _MISSING else found


def _submodule(path: str) -> Any:
    """Import a module; return `_MISSING` if there is none."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        # The module may exist, and import another one that does not.
        if error.name is not None and f"{path}.".startswith(f"{error.name}."):
            return _MISSING
        raise
