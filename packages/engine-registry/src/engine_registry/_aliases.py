"""Give a scope another name."""

from __future__ import annotations

from typing import Final
from weakref import WeakSet

from engine_registry._names import checked_string
from engine_registry._search import Node

_scopes: Final[dict[str, str]] = {}  # by alias; the values are not aliases
_registries: Final[WeakSet[Node]] = WeakSet()


def alias_scope(alias: str, scope: str) -> None:
    """Give a scope another name, which works wherever the name of a scope does.

    It works as a prefix (``"alias.Name"``), as the default scope, as ``_scope_`` in a config and in
    ``switch_scope_and_registry``, for all registries of the scope, also later ones. A second call
    with the same names does nothing. Engine's own scope ``engine`` has the alias ``mmengine``.

    Args:
        alias: The other name.
        scope: The scope, or an alias of it.

    Raises:
        TypeError: A name is not a string, or is empty.
        ValueError: A name has a dot, the alias is the scope itself, the alias of another scope, or
            the scope of a registry.

    Example:
        >>> from engine_registry import Registry
        >>> SHAPES = Registry("shape", scope="shapes")
        >>> SHAPES.register_module("Box", module=dict)
        <class 'dict'>
        >>> alias_scope("forms", "shapes")
        >>> SHAPES.get("forms.Box")
        <class 'dict'>
    """
    for name, value in (("alias", alias), ("scope", scope)):
        if "." in checked_string(name, value) or ":" in value:
            raise ValueError(f"{name} must have neither a dot nor a colon, got {value!r}")
    target = true_scope(scope)
    if target == alias:
        named = "" if scope == alias else f", because {scope!r} is an alias of {target!r}"
        raise ValueError(f"alias must be another name than the scope, got {alias!r}{named}")
    known = _scopes.get(alias)
    if known not in (None, target):
        raise ValueError(
            f"alias must not be the alias of another scope, got {alias!r}, "
            f"which stands for {known!r} and not for {target!r}; choose another name"
        )
    used = known is None and next((one for one in _registries if one.scope == alias), None)
    if used:
        raise ValueError(
            f"alias must not be the scope of a registry, got {alias!r} of {used!r}; "
            "choose another name, or call alias_scope before the registry is made"
        )
    for other, meant in _scopes.items():
        if meant == alias:
            _scopes[other] = target
    _scopes[alias] = target


def true_scope(name: str) -> str:
    """Return the scope that a name stands for: that of an alias, or the name itself."""
    return _scopes.get(name, name)


def use_scope(registry: Node) -> None:
    """Keep the scope of a registry from becoming an alias."""
    _registries.add(registry)
