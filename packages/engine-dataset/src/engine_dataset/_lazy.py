"""Initialising a data set when it is first needed."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


def force_full_init(old_func: _Method) -> _Method:
    """Makes a method load the data set first, unless that has happened.

    Args:
        old_func: Method of an object with ``full_init`` and the flag ``_fully_initialized``.

    Returns:
        The method, which raises ``AttributeError`` on an object without ``full_init``.

    Example:
        >>> class Squares:
        ...     _fully_initialized = False
        ...     def full_init(self):
        ...         self.values, self._fully_initialized = [0, 1, 4], True
        ...     @force_full_init
        ...     def __len__(self):
        ...         return len(self.values)
        >>> len(Squares())
        3
    """

    @functools.wraps(old_func)
    def initialized(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not getattr(self, "_fully_initialized", False):
            _initialize(self)
        return old_func(self, *args, **kwargs)

    return cast(_Method, initialized)


def _initialize(dataset: Any) -> None:
    if not hasattr(dataset, "full_init"):
        raise AttributeError(
            f"{type(dataset).__name__} has a method under `force_full_init`, which needs a method "
            f"`full_init` to call"
        )
    dataset.full_init()
    dataset._fully_initialized = True
