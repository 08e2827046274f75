"""Old names that still work for a while, with a warning."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def deprecated_api_warning(
    name_dict: Mapping[str, str], cls_name: str | None = None
) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Make a decorator that accepts old names of arguments.

    Args:
        name_dict: The new name by the old one.
        cls_name: The class of the decorated method, for messages.

    Returns:
        A decorator. The function it makes warns with DeprecationWarning when an old name is used,
        and raises ValueError when the old and the new name are.

    Example:
        >>> @deprecated_api_warning({"colour": "color"})
        ... def paint(color: str) -> str:
        ...     return color
        >>> import warnings
        >>> with warnings.catch_warnings(action="ignore"):
        ...     paint(colour="red")
        'red'
    """

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        shown = f"{cls_name}.{function.__name__}" if cls_name else function.__name__

        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> _R:
            for old, new in name_dict.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise ValueError(
                        f"{shown} got both {old} and {new}, its new name: use {new} alone"
                    )
                warnings.warn(
                    f"the argument {old} of {shown} is deprecated, use {new}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renamed

    return decorate


def deprecated_function(
    since: str, removed_in: str, instructions: str
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Make a decorator for a function that will be removed.

    Args:
        since: The first version in which it is deprecated.
        removed_in: The version without it.
        instructions: What to do instead, e.g. ``"use paint"``.

    Returns:
        A decorator. The function it makes warns with DeprecationWarning when called, and its
        docstring begins with a note.
    """
    from inspect import cleandoc  # slow to import, and rarely needed

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        note = (
            f"deprecated since version {since} and removed in version {removed_in}: {instructions}"
        )

        @functools.wraps(function)
        def warned(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            warnings.warn(
                f"{function.__module__}.{function.__name__} is {note}",
                DeprecationWarning,
                stacklevel=2,
            )
            return function(*args, **kwargs)

        warned.__doc__ = (
            f".. deprecated:: {since}\n    {note}\n\n{cleandoc(function.__doc__ or '')}"
        )
        return warned

    return decorate
