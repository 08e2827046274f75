"""Accept old names for some versions, with a warning."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def deprecated_api_warning(
    name_dict: Mapping[str, str], cls_name: str | None = None
) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Return a decorator that accepts old names of arguments.

    Args:
        name_dict: The new name by the old one.
        cls_name: The class of the decorated method, for messages.

    Returns:
        A decorator. The decorated function warns with ``DeprecationWarning`` if an old name is
        used. It raises ``ValueError`` if both the old and the new name are used.

    Example:
        >>> @deprecated_api_warning({"width": "size"})
        ... def resize(size: int) -> int:
        ...     return size
        >>> import warnings
        >>> with warnings.catch_warnings(action="ignore"):
        ...     resize(width=3)
        3
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
                        f"{shown} got both {old} and its new name {new}; use only {new}"
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
    """Return a decorator for a function that will be removed.

    Args:
        since: The first version in which it is deprecated.
        removed_in: The version without it.
        instructions: The replacement, e.g. ``"use resize"``.

    Returns:
        A decorator. The decorated function warns with ``DeprecationWarning`` at each call, and
        its docstring begins with a note.
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
