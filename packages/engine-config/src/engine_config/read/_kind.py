"""Distinguish plain Python configs, with ``_base_``, from lazy ones, which import their bases."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["plain", "lazy", "either"]

# Names of this package, which a config may import from there, whether or not engine-compat is
# installed.
_OURS: Final = ("engine_config", "mmengine", "mmengine.config")
_NAMES: Final = frozenset(["Config", "ConfigDict", "read_base"])


def kind_of(tree: ast.Module, lazy: bool | None) -> Kind:
    """Return the kind of a config.

    Args:
        tree: The whole file.
        lazy: Whether a file with neither ``_base_`` nor ``read_base`` is lazy; None to decide by
            its imports.
    """
    if any(is_read_base(node) for node in tree.body):
        return "lazy"
    if any(is_base_assignment(node) for node in tree.body):
        return "plain"
    if lazy is not None:
        return "lazy" if lazy else "plain"
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    foreign = [node for node in imports if is_foreign(node)]
    if not foreign:
        return "either"
    names = {
        alias.asname or alias.name.partition(".")[0] for node in foreign for alias in node.names
    }
    return "plain" if "*" in names or _works_with(tree, names) else "lazy"


def _works_with(tree: ast.Module, names: set[str]) -> bool:
    """Return whether a config uses imported names for more than values, such as calling them."""
    for node in ast.walk(tree):
        fields = _WORKING.get(type(node), ())
        if isinstance(node, ast.Call) and root_name(node.func) in ("dict", "ConfigDict"):
            continue  # dict(type=SGD) only places the name in a value
        parts = [getattr(node, name) for name in fields]
        parts += [keyword.value for keyword in getattr(node, "keywords", ()) if fields]
        flat = [item for part in parts for item in (part if isinstance(part, list) else [part])]
        if any(root_name(part) in names for part in flat):
            return True
    return False


# The fields that Python evaluates when it runs the node: a lazy object in them would raise.
_WORKING: Final[Mapping[type[ast.AST], tuple[str, ...]]] = {
    ast.Call: ("func", "args"),
    ast.BinOp: ("left", "right"),
    ast.UnaryOp: ("operand",),
    ast.Compare: ("left", "comparators"),
    ast.Subscript: ("value",),
    ast.FormattedValue: ("value",),
    ast.For: ("iter",),
    ast.comprehension: ("iter",),
    ast.If: ("test",),
    ast.IfExp: ("test",),
    ast.While: ("test",),
}


def root_name(node: ast.expr | None) -> str:
    """Return ``a`` for ``a.b[0].c()``, and an empty string if the first part is not a name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_read_base(node: ast.stmt) -> bool:
    """Return whether a statement is ``with read_base():``."""
    if not (isinstance(node, ast.With) and len(node.items) == 1):
        return False
    call = node.items[0].context_expr
    function = call.func if isinstance(call, ast.Call) else None
    name = function.attr if isinstance(function, ast.Attribute) else None
    return name == "read_base" or (isinstance(function, ast.Name) and function.id == "read_base")


def is_base_assignment(node: ast.stmt) -> bool:
    """Return whether a statement sets ``_base_``."""
    targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
    return any(isinstance(target, ast.Name) and target.id == "_base_" for target in targets)


def is_foreign(node: ast.Import | ast.ImportFrom) -> bool:
    """Return whether an import names a module that is neither standard library nor ours."""
    if isinstance(node, ast.ImportFrom):
        return not _is_ours(node) and not _is_standard(node.module or "")
    return not all(_is_standard(alias.name) or alias.name in _OURS for alias in node.names)


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _is_ours(node: ast.ImportFrom) -> bool:
    return node.module in _OURS and _NAMES.issuperset(alias.name for alias in node.names)


def own_import(node: ast.stmt) -> ast.stmt | None:
    """Return a statement that runs without engine-compat; None for an import of `read_base`."""
    if not isinstance(node, ast.ImportFrom) or node.level or not _is_ours(node):
        return node
    # The block of `read_base` never runs, so the name is not used.
    names = [alias for alias in node.names if alias.name != "read_base"]
    return ast.copy_location(ast.ImportFrom("engine_config", names, 0), node) if names else None
