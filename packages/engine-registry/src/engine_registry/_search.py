"""Record one look-up, and walk over the tree of registries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

_logger = logging.getLogger("engine.registry")


class Search:
    """The record of one look-up, from which the error message is built.

    Attributes:
        searched: The registries whose locations were imported for this look-up.
        imported: The modules that were imported.
        missing: The modules that are not installed, with the error.
        failed: The modules that are installed and raised, with the error.

    Example:
        >>> from engine_registry import Registry
        >>> search = Search()
        >>> Registry("shape", scope="shapes", locations=["no_such_module"]).find("Square", search)
        >>> list(search.missing)
        ['no_such_module']
    """

    def __init__(self) -> None:
        self.searched: list[Node] = []
        self.imported: list[str] = []
        self.missing: dict[str, Exception] = {}
        self.failed: dict[str, Exception] = {}


class Node(Protocol):
    """The part of a registry's interface that messages and reports use.

    Example:
        >>> from engine_registry import Registry
        >>> root: Node = Registry("shape", scope="shapes")
        >>> child = Registry("shape", parent=root, scope="solids")
        >>> [node.scope for node in walk(root)]
        ['shapes', 'solids']
    """

    @property
    def name(self) -> str:
        """The kind of object that the registry holds."""

    @property
    def scope(self) -> str:
        """The prefix that names the registry in its tree."""

    @property
    def module_dict(self) -> Mapping[str, Callable[..., Any]]:
        """The registered classes and functions by name."""

    @property
    def children(self) -> Mapping[str, Node]:
        """The registries that have this one as parent, by scope."""

    @property
    def parent(self) -> Node | None:
        """The registry that is searched after this one."""

    @property
    def root(self) -> Node:
        """The registry at the top of the tree."""

    def find_scope(self, scope: str) -> Node | None:
        """Return the registry of that scope in the tree."""

    def load_all(self, search: Search) -> None:
        """Import all locations and plugins of this registry, and record the outcome."""


def walk(registry: Node) -> Iterator[Node]:
    """Yield a registry and all below it."""
    yield registry
    # A list, because a location that is imported meanwhile may add a child.
    for child in list(registry.children.values()):
        yield from walk(child)


def load_tree(registry: Node, search: Search) -> None:
    """Import the locations and plugins of all registries of a tree, also of those that they add."""
    loaded: list[Node] = []
    while waiting := [node for node in walk(registry.root) if node not in loaded]:
        for node in waiting:
            node.load_all(search)
        loaded += waiting


def log_found(registry: Node, found: Callable[..., Any] | None) -> None:
    """Log which registry holds the result of a look-up; log nothing for an imported path."""
    # Only if the line is written: this walks the whole tree.
    if found is None or not _logger.isEnabledFor(logging.DEBUG):
        return
    for node in (registry, *walk(registry.root)):
        if any(found is module for module in node.module_dict.values()):
            name = getattr(found, "__name__", repr(found))
            _logger.debug('Get class `%s` from "%s" registry in "%s"', name, node.name, node.scope)
            return
