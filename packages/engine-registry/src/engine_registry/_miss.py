"""The message of a look-up that found nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from engine_registry._errors import LocationImportError, NotRegisteredError
from engine_registry._scope import DefaultScope

if TYPE_CHECKING:
    from engine_registry._registry import Registry
    from engine_registry._search import Search

_SUGGESTIONS = 3


def miss(key: str, registry: Registry, search: Search) -> NotRegisteredError:
    """Make the error for a name that is not found.

    To suggest names it imports the locations of the other registries in the tree, too.
    """
    scope, _ = registry.split_scope_key(key)
    lines = [f'{key!r} is not in the "{registry.name}" registry of scope "{registry.scope}"']
    others = [f'"{node.scope}"' for node in search.searched if node is not registry]
    if others:
        lines[0] += f", nor in scope {', '.join(others)}"
    known = names(registry, search)
    close = closest(key, known)
    if close:
        lines.append(f"did you mean {' or '.join(map(repr, close))}?")
    if scope is not None and not close and registry.find_scope(scope) is None:
        scopes = sorted({node.scope for node in walk(registry.root)})
        lines.append(
            f'"{scope}" is neither a scope of this tree (there are: {", ".join(scopes)}) '
            "nor a module that has such a name"
        )
    default = unknown_default_scope(registry)
    if default is not None:
        lines.append(
            f'the default scope "{default}" is not in this tree: '
            "import the package that defines it, or name it in `custom_imports` of the config"
        )
    lines += import_lines(search)
    if not close:
        lines.append(
            "is its module imported? Import it, name it in `custom_imports` of the config, "
            f'or in the locations of the "{registry.name}" registry'
        )
    return error_of(lines, search)


def unknown_default_scope(registry: Registry) -> str | None:
    """Return the default scope if no registry of the tree has it."""
    current = DefaultScope.get_current_instance()
    if current is None or registry.find_scope(current.scope_name) is not None:
        return None
    return current.scope_name


def import_lines(search: Search) -> Iterator[str]:
    """Say what was imported for a look-up, and what could not be."""
    if search.imported:
        yield f"imported on the way: {', '.join(dict.fromkeys(search.imported))}"
    if search.missing:
        yield f"not installed: {', '.join(search.missing)}"
    for module, error in search.failed.items():
        yield f"failed to import: {module} ({type(error).__name__}: {error})"


def error_of(lines: list[str], search: Search) -> NotRegisteredError:
    """Make the error; a failed import is its cause."""
    message = "\n  ".join(lines)
    if not search.failed:
        return NotRegisteredError(message)
    error = LocationImportError(message)
    error.__cause__ = next(iter(search.failed.values()))
    return error


def names(registry: Registry, search: Search) -> list[str]:
    """Return every name that can be written in a config for this registry."""
    reached = []
    node: Registry | None = registry
    while node is not None:
        reached.append(node)
        node = node.parent
    found = {}
    for node in walk(registry.root):
        node.load_all(search)
        prefix = "" if node in reached else f"{node.scope}."
        found.update(dict.fromkeys(prefix + name for name in node.module_dict))
    return list(found)


def walk(registry: Registry) -> Iterator[Registry]:
    """Yield a registry and all below it."""
    yield registry
    for child in registry.children.values():
        yield from walk(child)


def closest(key: str, known: Iterable[str]) -> list[str]:
    """Return the names most like ``key``, best first, whatever their prefix and case.

    For a path into a module these are names of that module.
    """
    import difflib  # slow to import, and rarely needed

    module = key.rpartition(".")[0]
    if module in sys.modules:
        # A dotted path into a module that exists: the name is meant to be there.
        hidden = _bare(key).startswith("_")
        members = [name for name in dir(sys.modules[module]) if hidden or name[0] != "_"]
        known = [f"{module}.{name}" for name in members]
    by_name: dict[str, list[str]] = {}
    for full in known:
        by_name.setdefault(_bare(full), []).append(full)
    matches = difflib.get_close_matches(_bare(key), by_name, n=_SUGGESTIONS, cutoff=0.6)
    return [full for match in matches for full in by_name[match]][:_SUGGESTIONS]


def _bare(name: str) -> str:
    return name.rpartition(".")[2].lower()
