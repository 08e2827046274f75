"""Initialize a dataset when it is first used."""

import functools
import warnings
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

_Self = TypeVar("_Self")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def force_full_init(
    old_func: Callable[Concatenate[_Self, _Arguments], _Result],
) -> Callable[Concatenate[_Self, _Arguments], _Result]:
    """Decorate a method so that it loads the dataset first, if it is not loaded.

    Args:
        old_func: A method of an object with `full_init` and the flag ``_fully_initialized``.

    Returns:
        A method that raises `AttributeError` if the object lacks `full_init`.

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
    def initialized(self: _Self, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        if not getattr(self, "_fully_initialized", False):
            _initialize(self)
        return old_func(self, *args, **kwargs)

    return initialized


def load_with_warning(dataset: object, *, stacklevel: int = 3) -> None:
    """Load a dataset, and warn that a sample was read before.

    Args:
        dataset: An object with `full_init`.
        stacklevel: The frame that the warning names; by default the caller of the caller.
    """
    # Each worker has a copy of the unloaded dataset, and loads all records again.
    warnings.warn(
        f"{type(dataset).__name__} is read before it is loaded, which each worker process repeats. "
        f"Please call `full_init` method manually to accelerate the speed.",
        stacklevel=stacklevel,
    )
    _initialize(dataset)


def _initialize(dataset: object) -> None:
    full_init = getattr(dataset, "full_init", None)
    if full_init is None:
        raise AttributeError(
            f"{type(dataset).__name__} must have a method `full_init`, since a method of it is "
            f"decorated with `force_full_init`"
        )
    full_init()
    # A `full_init` that a user wrote may not set the flag.
    setattr(dataset, "_fully_initialized", True)  # noqa: B010  # mypy has no such attribute
