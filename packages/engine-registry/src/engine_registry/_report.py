"""Report the contents of the registries."""

import os
import sys
from typing import Any

from engine_registry._registry import Registry
from engine_registry._roots import ROOTS
from engine_registry._search import Node, Search, load_tree, walk
from engine_utils import expand_home

_FILE = "modules_statistic_results.json"


def traverse_registry_tree(registry: Registry, verbose: bool = True) -> list[dict[str, Any]]:
    """List the contents of all registries of a tree, from the root down.

    Args:
        registry: Any registry of the tree.
        verbose: Also print it as a table.

    Returns:
        For each registry a dict with ``registry``, ``scope``, ``parent`` (a scope or None),
        ``num_modules`` and ``modules`` (the import path of each name).

    Example:
        >>> SHAPES = Registry("shape", scope="shapes")
        >>> SHAPES.register_module("Square", module=dict)
        <class 'dict'>
        >>> traverse_registry_tree(SHAPES, verbose=False)[0]["modules"]
        {'Square': 'builtins.dict'}
    """
    nodes = list(walk(registry.root))
    if verbose:
        sys.stdout.write(_table(registry.root))
    return [
        {
            "registry": node.name,
            "scope": node.scope,
            "parent": node.parent.scope if node.parent else None,
            "num_modules": len(node.module_dict),
            "modules": {name: _place(module) for name, module in node.module_dict.items()},
        }
        for node in nodes
    ]


def count_registered_modules(
    save_path: str | os.PathLike[str] | None = None, verbose: bool = True
) -> dict[str, Any]:
    """List the contents of the root registries and of all registries below them.

    Their locations are imported first. Locations that fail are listed under ``not_imported``.

    Args:
        save_path: A file ``….json`` to write, or a folder for
            ``modules_statistic_results.json``.
        verbose: Also print it as tables.

    Returns:
        A dict with ``scan_date``, ``registries`` (for each root the result of
        ``traverse_registry_tree``) and ``not_imported`` (the error of each module).
    """
    from datetime import datetime  # slow to import, and rarely needed

    search = Search()
    registries = {}
    for name, root in ROOTS.items():
        load_tree(root, search)
        registries[name] = traverse_registry_tree(root, verbose)
    problems = {**search.missing, **search.failed}
    counted = {
        "scan_date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "registries": registries,
        "not_imported": {module: str(error) for module, error in problems.items()},
    }
    if save_path is not None:
        _save(counted, os.fspath(expand_home(save_path)))
    return counted


def _save(counted: dict[str, Any], path: str) -> None:
    import json  # slow to import, and rarely needed

    if not path.endswith(".json"):
        path = os.path.join(path, _FILE)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(counted, indent=2) + "\n")


def _place(module: Any) -> str:
    name = getattr(module, "__qualname__", None) or repr(module)
    return f"{getattr(module, '__module__', None) or 'unknown'}.{name}"


def _table(registry: Node, depth: int = 0) -> str:
    indent = "    " * depth
    count = len(registry.module_dict)
    lines = [f"{indent}{registry.name} (scope {registry.scope}): {count} registered"]
    width = max(map(len, registry.module_dict), default=0)
    lines += [
        f"{indent}  {name:<{width}}  {_place(module)}"
        for name, module in sorted(registry.module_dict.items())
    ]
    text = "\n".join(lines) + "\n"
    return text + "".join(_table(child, depth + 1) for child in registry.children.values())
