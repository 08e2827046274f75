"""Forward the documented names of a facade to the objects it owns, one line each."""

from operator import attrgetter
from typing import Any, Generic, NoReturn, Self, TypeVar, overload

Value = TypeVar("Value")


class Forward(Generic[Value]):
    """A read-only attribute that reads another one.

    Args:
        path: The attribute to read, from the owner on, such as ``"progress.epoch"``.
        doc: The docstring of the name.

    Example:
        >>> class Box:
        ...     real = Forward[int]("size.real", "The real part of the size.")
        ...     size = 2 + 1j
        >>> Box().real, Box.real.__doc__
        (2.0, 'The real part of the size.')
    """

    def __init__(self, path: str, doc: str) -> None:
        self._read = attrgetter(path)
        self._path = path
        self.__doc__ = doc

    @overload
    def __get__(self, owner: None, kind: type | None = None) -> Self: ...
    @overload
    def __get__(self, owner: object, kind: type | None = None) -> Value: ...
    def __get__(self, owner: object | None, kind: type | None = None) -> Self | Value:
        """Return the value that the path leads to."""
        if owner is None:
            return self
        value: Value = self._read(owner)
        return value

    def __set__(self, owner: object, value: Any) -> NoReturn:
        """Raise, as for a property without a setter."""
        raise AttributeError(f"this attribute is read from {self._path!r}, and cannot be set")
