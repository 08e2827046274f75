"""Check the names of registries and of registered classes and functions."""

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any


def checked_string(what: str, value: object) -> str:
    """Check that a value is a non-empty string, and return it.

    Raises:
        TypeError: The value is not a string, or is empty.
    """
    if not isinstance(value, str) or not value:
        raise TypeError(f"{what} must be a non-empty string, got {value!r}")
    return value


def given_names(name: object) -> list[str] | None:
    """Return the argument ``name`` of ``register_module`` as a list of names, or None.

    Raises:
        TypeError: ``name`` is not None, a string or a sequence of strings.
    """
    if name is None:
        return None
    names = [name] if isinstance(name, str) else name
    if isinstance(names, Sequence) and all(isinstance(item, str) and item for item in names):
        return list(names)
    raise TypeError(
        f"name must be None, a string or a sequence of strings, got {name!r}; "
        "as a decorator, write @REGISTRY.register_module() with parentheses"
    )


def own_name(module: Callable[..., Any]) -> str:
    """Return the ``__name__`` of a class or function.

    Raises:
        TypeError: ``module`` has no ``__name__``, such as a ``functools.partial``.
    """
    name = getattr(module, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"{module!r} has no __name__; pass name=...")
    return name


def calling_package() -> str:
    """Return the name of the top-level package that calls this package."""
    home = __name__.partition(".")[0]
    frame: FrameType | None = sys._getframe(1)
    # The caller may be `Registry.__init__` or the code of a subclass: skip our own frames.
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "__main__")).partition(".")[0]
        if package != home:
            return package
        frame = frame.f_back
    return home
