"""The names that a registry and what it holds can have."""

from collections.abc import Callable, Sequence
from typing import Any


def checked_string(what: str, value: object) -> str:
    """Return a string as it is.

    Raises:
        TypeError: it is something else, or empty.
    """
    if not isinstance(value, str) or not value:
        raise TypeError(f"{what} is a string that is not empty, not {value!r}")
    return value


def given_names(name: object) -> list[str] | None:
    """Return the names that the argument ``name`` of ``register_module`` gives; None for none.

    Raises:
        TypeError: it is neither None nor a name nor several.
    """
    if name is None:
        return None
    names = [name] if isinstance(name, str) else name
    if isinstance(names, Sequence) and all(isinstance(item, str) and item for item in names):
        return list(names)
    raise TypeError(
        f"name must be None, a string or a sequence of strings, not {name!r}; "
        "as a decorator, write @REGISTRY.register_module() with parentheses"
    )


def own_name(module: Callable[..., Any]) -> str:
    """Return the name that a class or function has of its own.

    Raises:
        TypeError: it has none, such as a ``functools.partial``.
    """
    name = getattr(module, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"{module!r} has no name of its own: give one with name=...")
    return name
