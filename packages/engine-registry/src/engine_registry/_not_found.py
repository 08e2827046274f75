"""The error of a look-up that found nothing."""

import sys
from collections.abc import Iterable, Iterator

from engine_registry._errors import LocationImportError, NotRegisteredError
from engine_registry._scope import DefaultScope
from engine_registry._search import Node, Search, walk
from engine_utils import closest_names

_SUGGESTIONS = 3


def not_found(key: str, registry: Node, search: Search) -> NotRegisteredError:
    """Return the error for a name that is not found.

    To suggest names, the locations of the other registries in the tree are imported as well.
    """
    lines = [f'{key!r} is not in the "{registry.name}" registry of scope "{registry.scope}"']
    others = [f'"{node.scope}"' for node in search.searched if node is not registry]
    if others:
        lines[0] += f", nor in scope {', '.join(others)}"
    # Only now are the other packages imported: a look-up that succeeds loads what it needs.
    close = closest(key, reachable_names(registry, search))
    if close:
        lines.append(f"did you mean {' or '.join(map(repr, close))}?")
    scope, dot, _ = key.partition(".")
    if dot and not close and registry.find_scope(scope) is None:
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


def unknown_default_scope(registry: Node) -> str | None:
    """Return the default scope if no registry of the tree has it."""
    current = DefaultScope.get_current_instance()
    if current is None or registry.find_scope(current.scope_name) is not None:
        return None
    return current.scope_name


def import_lines(search: Search) -> Iterator[str]:
    """Yield the modules imported for a look-up, those missing and those that failed."""
    if search.imported:
        yield f"imported on the way: {', '.join(dict.fromkeys(search.imported))}"
    if search.missing:
        yield f"not installed: {', '.join(search.missing)}"
    for module, error in search.failed.items():
        yield f"failed to import: {module} ({type(error).__name__}: {error})"


def error_of(lines: Iterable[str], search: Search) -> NotRegisteredError:
    """Return an error of these lines; a failed import is its cause."""
    message = "\n  ".join(lines)
    if not search.failed:
        return NotRegisteredError(message)
    # A class of its own: a broken import is not a misspelled name.
    error = LocationImportError(message)
    error.__cause__ = next(iter(search.failed.values()))
    return error


def reachable_names(registry: Node, search: Search) -> list[str]:
    """Return each name that can be written in a config for this registry."""
    # Names of the registry and its ancestors need no prefix, those of all others do.
    reached = []
    node: Node | None = registry
    while node is not None:
        reached.append(node)
        node = node.parent
    found = {}
    for node in walk(registry.root):
        node.load_all(search)
        prefix = "" if node in reached else f"{node.scope}."
        found.update(dict.fromkeys(prefix + name for name in node.module_dict))
    return list(found)


def closest(key: str, known: Iterable[str]) -> list[str]:
    """Return the names most similar to ``key``, the best first, whatever their prefix and case.

    For a path into a module these are names of that module.
    """
    module = key.rpartition(".")[0]
    if module in sys.modules:
        # A dotted path into a module that exists: the name is meant to be there.
        hidden = _bare(key).startswith("_")
        members = [name for name in dir(sys.modules[module]) if hidden or name[0] != "_"]
        known = [f"{module}.{name}" for name in members]
    # Prefixes are long and similar: compared as a whole, each name of a package would be close.
    by_name: dict[str, list[str]] = {}
    for full in known:
        by_name.setdefault(_bare(full), []).append(full)
    matches = closest_names(_bare(key), by_name, count=_SUGGESTIONS)
    return [full for match in matches for full in by_name[match]][:_SUGGESTIONS]


def _bare(name: str) -> str:
    return name.rpartition(".")[2].lower()
