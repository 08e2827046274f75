"""Follow the statements of a Python config to find the line that gives each key its value.

The syntax tree is followed in the order of execution. After ``b = a``, both names share the same
lines: a later ``a["x"] = 1`` or ``a.append(…)`` changes both. A value that cannot be followed, such
as a comprehension, gets the line of its statement.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from engine_config.origin._lines import Children, Lines

# The function that makes the dicts of a file that changes its bases: `read._base_changes` wraps
# each of them as ``MADE_DICT(number, dict)``.
MADE_DICT: Final = "__engine_dict__"


def follow(statements: Iterable[ast.stmt]) -> dict[object, Lines]:
    """Return the lines of all names after the statements have run in this order."""
    names: dict[object, Lines] = {}
    for statement in statements:
        handler = _STATEMENTS.get(type(statement))
        if handler is not None:
            handler(statement, names)
    return names


def of_expression(node: ast.expr, names: dict[object, Lines]) -> Lines:
    """Return the lines of an expression, given the lines of the names that it may use."""
    handler = _EXPRESSIONS.get(type(node))
    return Lines(node.lineno, handler(node, names) if handler else None)


def _dict_display(node: ast.Dict, names: dict[object, Lines]) -> Children:
    children: dict[object, Lines] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            _absorb(children, of_expression(value, names))
        elif isinstance(key, ast.Constant):
            lines = of_expression(value, names)
            # The line of the key, not of the value: a value may begin lines below its key.
            lines.line = key.lineno
            children[key.value] = lines
    return children


def _call(node: ast.Call, names: dict[object, Lines]) -> Children:
    if isinstance(node.func, ast.Name) and node.func.id == MADE_DICT:
        return of_expression(node.args[1], names).children
    # Only these calls show their keys in the text; the result of any other function is unknown.
    if not (isinstance(node.func, ast.Name) and node.func.id in ("dict", "ConfigDict")):
        return None
    children: dict[object, Lines] = {}
    for argument in node.args:
        _absorb(children, of_expression(argument, names))
    for keyword in node.keywords:
        lines = of_expression(keyword.value, names)
        if keyword.arg is None:
            _absorb(children, lines)
        else:
            lines.line = keyword.lineno
            children[keyword.arg] = lines
    return children


def _absorb(children: dict[object, Lines], other: Lines) -> None:
    if isinstance(other.children, dict):
        children.update(other.children)


def _sequence(node: ast.List | ast.Tuple, names: dict[object, Lines]) -> Children:
    # A starred item is an unknown number of items, so the indices after it are unknown.
    if any(isinstance(item, ast.Starred) for item in node.elts):
        return None
    return [of_expression(item, names) for item in node.elts]


def _name(node: ast.Name, names: dict[object, Lines]) -> Children:
    # Share the children, do not copy them: a change through one name must apply to all its names.
    known = names.get(node.id)
    return known.children if known else None


def _part(node: ast.Subscript | ast.Attribute, names: dict[object, Lines]) -> Children:
    known = _find(node, names)
    return known.children if known else None


def _sum(node: ast.BinOp, names: dict[object, Lines]) -> Children:
    left, right = (of_expression(side, names).children for side in (node.left, node.right))
    if isinstance(left, list) and isinstance(right, list):
        return [*left, *right]
    return None


def _find(node: ast.expr, names: dict[object, Lines]) -> Lines | None:
    """Return the lines of a name, subscript or attribute if they are known, else None."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, ast.Subscript | ast.Attribute):
        return None
    owner = _find(node.value, names)
    known, key = _key(node)
    return owner.child(key) if owner and known else None


def _owner(node: ast.expr, names: dict[object, Lines]) -> Lines | None:
    """Return the lines that `_find` finds, or new lines for a name that comes from a base."""
    found = _find(node, names)
    if found is None and isinstance(node, ast.Name):
        found = names[node.id] = Lines(node.lineno, {})
    return found


def _key(node: ast.Subscript | ast.Attribute) -> tuple[bool, object]:
    if isinstance(node, ast.Attribute):
        return True, node.attr
    try:
        return True, ast.literal_eval(node.slice)
    except (ValueError, TypeError):
        return False, None  # the key is calculated


def _assign(node: ast.Assign, names: dict[object, Lines]) -> None:
    lines = of_expression(node.value, names)
    lines.line = node.lineno
    for target in node.targets:
        _bind(target, lines, names)


def _annotated(node: ast.AnnAssign, names: dict[object, Lines]) -> None:
    if node.value is not None:
        lines = of_expression(node.value, names)
        lines.line = node.lineno
        _bind(node.target, lines, names)


def _bind(target: ast.expr, lines: Lines, names: dict[object, Lines]) -> None:
    # Bind the same `Lines` object to every target, as Python binds the same value: a change through
    # one target then applies to all.
    if isinstance(target, ast.Name):
        names[target.id] = lines
    elif isinstance(target, ast.Tuple | ast.List):
        for index, item in enumerate(target.elts):
            _bind(item, lines.child(index) or Lines(lines.line), names)
    elif isinstance(target, ast.Subscript | ast.Attribute):
        owner = _owner(target.value, names)
        known, key = _key(target)
        if owner is not None and known:
            _bind_part(owner, key, lines)


def _bind_part(owner: Lines, key: object, lines: Lines) -> None:
    if isinstance(owner.children, list):
        if isinstance(key, int) and -len(owner.children) <= key < len(owner.children):
            owner.children[key] = lines
    else:
        if owner.children is None:
            owner.children = {}
        owner.children[key] = lines


def _augmented(node: ast.AugAssign, names: dict[object, Lines]) -> None:
    old, added = _find(node.target, names), of_expression(node.value, names)
    # `+=` and `|=` change a list or dict in place, so the change applies to all its names.
    if old and isinstance(old.children, list) and isinstance(added.children, list):
        old.children.extend(added.children)
    elif old and isinstance(old.children, dict) and isinstance(added.children, dict):
        old.children.update(added.children)
    else:
        _bind(node.target, Lines(node.lineno), names)


def _update(old: dict[object, Lines], new: Mapping[object, Lines]) -> None:
    """Set the lines of keys as `ConfigDict.update` sets the keys."""
    for key, lines in new.items():
        former = old.get(key)
        if former and isinstance(former.children, dict) and isinstance(lines.children, dict):
            _update(former.children, lines.children)
        else:
            old[key] = lines


def _statement_call(node: ast.Expr, names: dict[object, Lines]) -> None:
    """Follow a call of a method that changes a dict or list in place."""
    names.update(updated_globals(node, names))
    call = node.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return
    owner = _owner(call.func.value, names)
    if owner is None:
        return
    if call.func.attr == "update":
        # update() takes what dict() takes.
        as_dict = ast.copy_location(ast.Name("dict", ast.Load()), call)
        new = _call(ast.Call(as_dict, call.args, call.keywords), names)
        if isinstance(new, dict) and not isinstance(owner.children, list):
            owner.children = owner.children or {}
            _update(owner.children, new)
    elif isinstance(owner.children, list):
        _change_list(owner, owner.children, call, names)


def updated_globals(
    node: ast.stmt, names: dict[object, Lines] | None = None
) -> dict[object, Lines]:
    """Return the keys, with their lines, that a statement ``globals().update({…})`` sets.

    Printed configs use this form for top-level keys that cannot be assigned.
    """
    match node:
        case ast.Expr(
            ast.Call(
                ast.Attribute(ast.Call(ast.Name("globals"), [], []), "update"),
                [ast.Dict() as keys],
                [],
            )
        ):
            children = _dict_display(keys, names or {})
            return children if isinstance(children, dict) else {}
    return {}


def _change_list(
    owner: Lines, items: list[Lines], call: ast.Call, names: dict[object, Lines]
) -> None:
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    arguments = [of_expression(argument, names) for argument in call.args]
    if method == "append" and len(arguments) == 1:
        items.append(arguments[0])
    elif method == "extend" and arguments and isinstance(arguments[0].children, list):
        items.extend(arguments[0].children)
    elif method == "insert" and len(arguments) == 2 and isinstance(call.args[0], ast.Constant):
        items.insert(int(call.args[0].value), arguments[1])  # type: ignore[arg-type]  # ran already
    else:
        owner.children = None  # sort(), pop() and other methods: the old lines would be wrong


def _loop(node: ast.For, names: dict[object, Lines]) -> None:
    _bind(node.target, Lines(node.lineno), names)


def _imported(node: ast.Import | ast.ImportFrom, names: dict[object, Lines]) -> None:
    for alias in node.names:
        names[alias.asname or alias.name.partition(".")[0]] = Lines(node.lineno)


_EXPRESSIONS: dict[type[ast.expr], Callable[..., Children]] = {
    ast.Dict: _dict_display,
    ast.Call: _call,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Name: _name,
    ast.Subscript: _part,
    ast.Attribute: _part,
    ast.BinOp: _sum,
}

_STATEMENTS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Expr: _statement_call,
    ast.For: _loop,
    ast.Import: _imported,
    ast.ImportFrom: _imported,
}
