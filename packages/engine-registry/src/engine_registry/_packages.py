"""Import the package of a scope, which makes its registries."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Final

from engine_registry._locations import is_part_of
from engine_registry._search import Search

# The scope of the root registries. Any folder may have this name, and is not part of Engine.
_OWN: Final = "engine"
_MODULE: Final = "registry"  # where libraries make their registries
_done: Final[set[str]] = set()
_missing: Final[dict[str, ModuleNotFoundError]] = {}
_failed: Final[dict[str, tuple[str, Exception]]] = {}


def import_scope(scope: str, search: Search, *, again: bool = False) -> None:
    """Import the package that is named as a scope, and its module ``registry`` if it has one.

    A package that raises is imported once, and its error is kept.

    Args:
        scope: The scope.
        search: The record of the look-up; the outcome is added to it.
        again: Whether to try again a package that was not installed before.

    Example:
        >>> search = Search()
        >>> import_scope("no_such_package", search)
        >>> list(search.missing)
        ['no_such_package']
    """
    # A program that reloads a package removes it from `sys.modules`.
    if scope == _OWN or not scope.isidentifier() or (scope in _done and scope in sys.modules):
        return
    if scope in _failed:
        module, error = _failed[scope]
        search.failed[module] = error
        return
    if again or scope not in _missing:
        _import(scope, search)
    if scope in _missing:
        search.missing[scope] = _missing[scope]


def warn_of_failure(scope: str) -> None:
    """Warn if the package of a default scope raised: its names are not found.

    Another registry may hold one of them, such as a dataset of a usual name.
    """
    if scope in _failed:
        module, error = _failed[scope]
        warnings.warn(
            f"{module} cannot be imported, so names of the default scope {scope!r} are looked up "
            f"without it: {type(error).__name__}: {error}",
            stacklevel=2,
        )


def _import(scope: str, search: Search) -> None:
    _missing.pop(scope, None)
    for module in (scope, f"{scope}.{_MODULE}"):
        try:
            importlib.import_module(module)
        except Exception as error:  # user code, which may raise anything
            if not isinstance(error, ModuleNotFoundError) or not is_part_of(error.name, module):
                _failed[scope] = module, error
                search.failed[module] = error
                return
            if module == scope:
                _missing[scope] = error
                return
        else:
            search.imported.append(module)
    # At the end: another thread waits for the import until then.
    _done.add(scope)
