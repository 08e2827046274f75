"""Find the statements of a Python config that may change ``_base_``, and prepare them.

In such a file ``_base_`` is the inherited config itself. `ConfigDict` stores a plain dict as a
copy, so a dict that the file puts into ``_base_`` and changes afterwards would lose the change.
Every dict display and ``dict(…)`` of the file therefore becomes a `ConfigDict`, which is stored as
it is. The same holds for the dicts that calls return, such as ``json.load(…)``. Files that do not
change ``_base_`` stay as they are.
"""

from __future__ import annotations

import ast
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine_config._dict import ConfigDict, marks_of, nested
from engine_config._errors import ConfigParseError
from engine_config._keys import BASE_KEY
from engine_config._marks import Mark, Source
from engine_config.origin._follow import MADE_DICT
from engine_config.read._kind import root_name

# Calls that return a new value or a number, and change nothing.
_HARMLESS: Final = frozenset(
    ["ConfigDict", "bool", "dict", "float", "int", "len", "list", "range", "set", "str", "tuple"]
)
# Calls that return the names of the file itself, or the attributes of an object.
_NAMESPACES: Final = ("globals", "locals", "vars")
BLOCKS: Final = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match)
_FOLLOWED: Final = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def mentions_base(code: types.CodeType) -> bool:
    """Return whether compiled code, or a function in it, uses the name ``_base_``."""
    return BASE_KEY in code.co_names or any(
        mentions_base(part) if isinstance(part, types.CodeType) else part == BASE_KEY
        for part in code.co_consts
    )


def reject_new_bases(body: list[ast.stmt], file: str) -> None:
    """Raise for a statement that sets the name ``_base_`` itself after the bases were read."""
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.Name) and node.id == BASE_KEY and not _is_load(node):
            message = "_base_ must be set once, at the top level of the file"
            raise ConfigParseError(message, file=file, line=node.lineno)


def _is_load(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def changing_statements(body: list[ast.stmt]) -> frozenset[ast.stmt]:
    """Return the statements that may change a value of the bases, also those inside blocks.

    A name that shares a statement with ``_base_``, or with another such name, may refer to a part
    of the bases. Only statements with such a name are returned.
    """
    parts = {node: _header_nodes(node) for node in statements(body)}
    names = {node: _names(node, inner) for node, inner in parts.items()}
    reached, size = {BASE_KEY}, 0
    while len(reached) > size:
        size = len(reached)
        for used in names.values():
            if not reached.isdisjoint(used):
                reached |= used
    return frozenset(
        node
        for node, inner in parts.items()
        if not reached.isdisjoint(names[node]) and any(map(_may_change, inner))
    )


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body, and those inside of blocks."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from statements(getattr(node, field, []))
        for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            yield from statements(part.body)


def _header_nodes(statement: ast.stmt) -> list[ast.AST]:
    """Return the nodes of a statement, without the statements inside it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(
            part
            for part in ast.iter_child_nodes(node)
            if not isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case)
        )
    return found


def _names(statement: ast.stmt, nodes: list[ast.AST]) -> set[str]:
    names = {node.id for node in nodes if isinstance(node, ast.Name)} - _HARMLESS
    names |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    # globals()["_base_"] and the like.
    names |= {
        BASE_KEY for node in nodes if isinstance(node, ast.Constant) and node.value == BASE_KEY
    }
    if isinstance(statement, _SCOPES):
        names.add(statement.name)
        inner = [part for node in statements(statement.body) for part in _header_nodes(node)]
        names |= {part.id for part in inner if isinstance(part, ast.Name)} - _HARMLESS
    return names


def _may_change(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute | ast.Subscript):
        return not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Call):
        return not (isinstance(node.func, ast.Name) and node.func.id in _HARMLESS)
    return isinstance(node, ast.AugAssign)


def wrap_dicts(body: list[ast.stmt]) -> list[Mapping[object, int]]:
    """Make each dict display, comprehension and dict of a call a ConfigDict; the body is changed.

    Returns:
        For each of them, the lines of the keys that its text shows.
    """
    wrap = _WrapDicts()
    for statement in body:
        wrap.visit(statement)
    return wrap.lines


class _WrapDicts(ast.NodeTransformer):
    def __init__(self) -> None:
        self.lines: list[Mapping[object, int]] = []

    def _wrapped(self, node: ast.expr, lines: Mapping[object, int]) -> ast.expr:
        number = ast.Constant(len(self.lines))
        self.lines.append(lines)
        call = ast.Call(ast.Name(MADE_DICT, ast.Load()), [number, node], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        self.generic_visit(node)
        keys = [key for key in node.keys if isinstance(key, ast.Constant)]
        return self._wrapped(node, {key.value: key.lineno for key in keys})

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        self.generic_visit(node)
        return self._wrapped(node, {})

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if _updates_globals(node):
            for child in node.args:
                self.generic_visit(child)
            return node
        self.generic_visit(node)
        name = root_name(node.func) if isinstance(node.func, ast.Name) else ""
        if name in _NAMESPACES:
            return node
        keywords = node.keywords if name == "dict" else []
        return self._wrapped(node, {key.arg: key.lineno for key in keywords if key.arg})

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        self.generic_visit(node)
        made = node.value
        # The value of a call that is a statement is not used.
        if isinstance(made, ast.Call) and root_name(made.func) == MADE_DICT:
            node.value = made.args[1]
        return node


class UnwrapDicts(ast.NodeTransformer):
    """Undo `wrap_dicts`, to show the text of the file in an error."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        return node.args[1] if root_name(node.func) == MADE_DICT else node


def _updates_globals(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr == "update"
        and isinstance(node.func.value, ast.Call)
        and root_name(node.func.value) == "globals"
    )


def dict_maker(lines: list[Mapping[object, int]], source: Source) -> Callable[[int, Any], Any]:
    """Return the function that the calls of `wrap_dicts` call.

    It converts a new dict to a ConfigDict, whose keys are marked with their lines, and the dicts in
    a list. A call that returns the same dict again gives the same ConfigDict again.
    """
    converted: dict[int, tuple[Any, Any]] = {}  # with the value, which keeps its `id` unique

    def make(number: int, value: Any) -> Any:
        if id(value) in converted:
            return converted[id(value)][1]
        if type(value) in (list, tuple):
            new = nested(value)
        elif type(value) in (dict, OrderedDict):
            new = ConfigDict(value)
        else:
            return value
        if new is value:
            return value
        converted[id(value)] = value, new
        return marked(number, value, new) if isinstance(new, ConfigDict) else new

    def marked(number: int, value: Any, new: ConfigDict) -> ConfigDict:
        known, marks = lines[number], marks_of(new)
        for key in value:
            if key in known:
                marks[key] = Mark(source, known[key])
        return new

    return make


class Record:
    """Add calls after statements: they record what runs, and what may have changed the bases.

    Args:
        followed: The list that the recorded statements are added to; None to record none.
        changing: The statements after which the bases are compared.
    """

    SEEN: Final = "__engine_seen__"
    CHANGED: Final = "__engine_changed__"

    def __init__(self, followed: list[ast.stmt] | None, changing: frozenset[ast.stmt]) -> None:
        self._followed, self._changing = followed, changing

    def statements(self, body: list[ast.stmt], *, inside: bool = False) -> list[ast.stmt]:
        """Return the statements with the calls between them.

        Args:
            body: The statements.
            inside: Whether they are those of a function or class.
        """
        result: list[ast.stmt] = []
        for node in body:
            scope = isinstance(node, _SCOPES)
            inner = isinstance(node, BLOCKS) or (scope and bool(self._changing))
            result.append(self._block(node, inside or scope) if inner else node)
            if isinstance(node, _FOLLOWED) and not inside:
                # After the assignment: one that fails inside a `try` sets nothing.
                result.extend(self._seen(node))
            if node in self._changing and not isinstance(node, ast.Return):
                result.append(_call(self.CHANGED, node.lineno, node))
        return result

    def _seen(self, node: ast.stmt) -> list[ast.stmt]:
        if self._followed is None:
            return []
        self._followed.append(node)
        return [_call(self.SEEN, len(self._followed) - 1, node)]

    def _block(self, node: Any, inside: bool) -> Any:
        changed: dict[str, Any] = {}
        for field, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                # A loop assigns its variable in each iteration, so record the loop inside its body.
                loop = isinstance(node, ast.For) and field == "body" and not inside
                first = self._seen(node) if loop else []
                changed[field] = [*first, *self.statements(value, inside=inside)]
            elif isinstance(value, list) and field in ("handlers", "cases"):
                changed[field] = [self._block(part, inside) for part in value]
            else:
                changed[field] = value
        return ast.copy_location(type(node)(**changed), node)


def _call(name: str, number: int, place: ast.stmt) -> ast.stmt:
    call = ast.Call(ast.Name(name, ast.Load()), [ast.Constant(number)], [])
    return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), place))
