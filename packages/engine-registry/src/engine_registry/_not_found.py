"""Build the error of a look-up that found nothing."""

import sys
from collections.abc import Iterable, Iterator

from engine_registry._aliases import true_scope
from engine_registry._errors import LocationImportError, NotRegisteredError
from engine_registry._scope import DefaultScope
from engine_registry._search import Node, Search, load_tree, walk
from engine_utils import closest_names, distribution_of

_SUGGESTIONS = 3


def not_found(key: str, registry: Node, search: Search) -> NotRegisteredError:
    """Return the error for a name that is not found.

    To suggest names, the locations of the other registries in the tree are imported as well.
    """
    lines = [f'{key!r} is not in the "{registry.name}" registry of scope "{registry.scope}"']
    others = [f'"{node.scope}"' for node in search.searched if node is not registry]
    if others:
        lines[0] += f", nor in scope {', '.join(others)}"
    # The other packages are imported here only: a successful look-up must not load them.
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
        lines.append(_of_default_scope(default, registry, search))
    lines += import_lines(search)
    if not close:
        lines.append(
            "is its module imported? Import it, name it in `custom_imports` of the config, "
            f'or in the locations of the "{registry.name}" registry'
        )
    return error_of(lines, search)


def _of_default_scope(scope: str, registry: Node, search: Search) -> str:
    start = f'the default scope "{scope}" is not in this tree: '
    if scope in sys.modules:
        return f'{start}the package "{scope}" is imported, and has no "{registry.name}" registry'
    missing = f'no package "{scope}" is installed; ' if scope in search.missing else ""
    return (
        f"{start}{missing}import the package that defines it, or name it in `custom_imports` of "
        "the config"
    )


def unknown_default_scope(registry: Node) -> str | None:
    """Return the default scope if no registry of the tree has that scope, else None."""
    current = DefaultScope.get_current_instance()
    if current is None or registry.find_scope(current.scope_name) is not None:
        return None
    return current.scope_name


def import_lines(search: Search) -> Iterator[str]:
    """Yield message lines: the modules imported for a look-up, the missing and the failed ones."""
    if search.imported:
        # A location may be one name in a module, of which there may be dozens.
        modules = dict.fromkeys(location.partition(":")[0] for location in search.imported)
        yield f"imported for this look-up: {', '.join(modules)}"
    if search.missing:
        yield f"not installed: {', '.join(map(_with_distribution, search.missing))}"
    for module, error in search.failed.items():
        yield f"failed to import: {module} ({type(error).__name__}: {error})"


def _with_distribution(module: str) -> str:
    package = distribution_of(module)
    return f"{module} (pip install {package})" if package else module


def error_of(lines: Iterable[str], search: Search) -> NotRegisteredError:
    """Return an error with these message lines; a failed import becomes its cause."""
    message = "\n  ".join(lines)
    if not search.failed:
        return NotRegisteredError(message)
    # A separate class, because a failed import is not a misspelled name.
    error = LocationImportError(message)
    error.__cause__ = next(iter(search.failed.values()))
    return error


def reachable_names(registry: Node, search: Search) -> list[str]:
    """Return each name that can be written in a config for this registry."""
    # Names in other registries than this one and its ancestors need a prefix.
    reached = []
    node: Node | None = registry
    while node is not None:
        reached.append(node)
        node = node.parent
    found = {}
    load_tree(registry, search)
    for node in walk(registry.root):
        prefix = "" if node in reached else f"{node.scope}."
        found.update(dict.fromkeys(prefix + name for name in node.module_dict))
    return list(found)


def closest(key: str, known: Iterable[str]) -> list[str]:
    """Return the names most similar to ``key``, the best first; prefix and case are ignored.

    For a dotted path into an imported module, suggest names of that module.
    """
    module = key.rpartition(".")[0]
    if module in sys.modules and true_scope(module) == module:
        # A dotted path into an imported module: suggest names of that module, and those of the
        # scope of that name, only.
        hidden = _bare(key).startswith("_")
        members = [name for name in dir(sys.modules[module]) if hidden or name[0] != "_"]
        registered = [name for name in known if name.startswith(f"{module}.")]
        known = [*registered, *(f"{module}.{name}" for name in members)]
    # Compare without prefixes: they are long, so all names of one package would be similar.
    by_name: dict[str, list[str]] = {}
    for full in known:
        by_name.setdefault(_bare(full), []).append(full)
    matches = closest_names(_bare(key), by_name, count=_SUGGESTIONS)
    return [full for match in matches for full in by_name[match]][:_SUGGESTIONS]


def _bare(name: str) -> str:
    return name.rpartition(".")[2].lower()
