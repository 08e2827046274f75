"""`Lines`: the line of every key of a config file, as a tree parallel to the values."""

from __future__ import annotations

from typing import TypeAlias

Children: TypeAlias = "dict[object, Lines] | list[Lines] | None"


class Lines:
    """The line of an expression and, for a dict or list display, the lines of its parts.

    Args:
        line: The line, counted from 1.
        children: The lines of its keys or items; None if they are unknown.

    Example:
        >>> lines = Lines(1, {"lr": Lines(2)})
        >>> lines.child("lr").line
        2
    """

    __slots__ = ("children", "line")

    def __init__(self, line: int, children: Children = None) -> None:
        self.line = line
        self.children = children

    def child(self, key: object) -> Lines | None:
        """Return the lines of a key or index, or None if they are unknown."""
        if isinstance(self.children, dict):
            return self.children.get(key)
        if isinstance(self.children, list) and isinstance(key, int):
            inside = -len(self.children) <= key < len(self.children)
            return self.children[key] if inside else None
        return None
