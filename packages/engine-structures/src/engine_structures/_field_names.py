"""The names of the fields of an element, in the order of their first assignment."""

from typing import Self


class FieldNames(dict[str, None]):
    """An ordered set of names, which code of libraries changes as a set: `add`, `discard`.

    Example:
        >>> names = FieldNames.fromkeys(["b", "a"])
        >>> names.add("c")
        >>> names.discard("b")
        >>> list(names)
        ['a', 'c']
    """

    __slots__ = ()

    def add(self, name: str) -> None:
        """Add a name."""
        self[name] = None

    def discard(self, name: str) -> None:
        """Remove a name if it is there."""
        self.pop(name, None)

    def remove(self, name: str) -> None:
        """Remove a name; raise `KeyError` if it is not there."""
        del self[name]

    def copy(self) -> Self:
        """Return a copy."""
        return type(self)(self)
