"""Read a Python config of plain assignments from its syntax tree, without running it.

Most configs assign displays of literals and nothing else. Their values and marks are built in one
pass, in a third of the time of compiling, running, following and copying them. Whatever else a file
holds, it is left to the code that handles all files.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine_config._dict import ConfigDict, copy_containers, marks_of, new_dict
from engine_config._keys import COMMANDS, reserved
from engine_config._marks import Mark, Source
from engine_config.origin._attach import MAX_DEPTH, MAX_VALUES
from engine_config.read._literal import MAX_NUMBER
from engine_config.read._substitution import BaseReference, Use

_set = dict.__setitem__
_NUMBERS: Final = (int, float)
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


class Template(NamedTuple):
    """The values that a file sets itself, before they are merged into those of its bases.

    Attributes:
        values: The values, with the mark of each key.
        has_commands: Whether they contain a ``_delete_`` or a list edit.
    """

    values: ConfigDict
    has_commands: bool


class _NotSimple(Exception):
    """The file holds something else, or a mistake, which the general code reports."""


def simple_values(body: list[ast.stmt], source: Source, uses: Mapping[str, Use]) -> Template | None:
    """Return the values of a file, or None if it does not only assign literals.

    Args:
        body: The statements, without ``_base_``.
        source: The text.
        uses: The ``{{…}}`` by the names that stand for them.
    """
    builder = _Builder(source, uses)
    try:
        for statement in body:
            builder.assign(statement)
    except (_NotSimple, RecursionError):
        return None
    return Template(builder.root, builder.has_commands)


class _Builder:
    def __init__(self, source: Source, uses: Mapping[str, Use]) -> None:
        self._source, self._uses = source, uses
        self._marks: dict[int, Mark] = {}  # one for all keys of a line
        self._left = MAX_VALUES
        self._root_marks: dict[Any, Mark] = {}
        self.root = new_dict(self._root_marks)
        self.has_commands = False

    def assign(self, node: ast.stmt) -> None:
        """Add the value that a statement assigns to a name."""
        if type(node) is ast.Expr and type(node.value) is ast.Constant:
            return  # a docstring
        if type(node) is not ast.Assign or len(node.targets) != 1:
            raise _NotSimple
        target = node.targets[0]
        if type(target) is not ast.Name or reserved(target.id) or target.id in self._uses:
            raise _NotSimple
        self._count(1, 0)
        value, mark = self._value(node.value, node.lineno, 0)
        _set(self.root, target.id, value)
        self._root_marks[target.id] = mark

    def _mark(self, line: int) -> Mark:
        mark = self._marks[line] = Mark(self._source, line)
        return mark

    def _count(self, size: int, depth: int) -> None:
        self._left -= size
        if depth > MAX_DEPTH or self._left < 0:
            raise _NotSimple

    def _value(self, node: ast.expr, line: int, depth: int) -> tuple[Any, Mark]:
        """Return a value, and the mark of the key on a line that has it."""
        kind = type(node)
        if kind is ast.Constant:
            return node.value, self._marks.get(line) or self._mark(line)  # type: ignore[attr-defined]  # by `kind`
        build = _BUILDERS.get(kind)
        if build is None:
            raise _NotSimple
        return build(self, node, line, depth + 1)

    def _call(self, node: ast.Call, line: int, depth: int) -> tuple[ConfigDict, Mark]:
        function = node.func
        if type(function) is not ast.Name or function.id != "dict" or "dict" in self.root:
            raise _NotSimple
        if node.args:
            raise _NotSimple
        self._count(len(node.keywords), depth)
        pairs = [(keyword.arg, keyword, keyword.value) for keyword in node.keywords]
        new = self._pairs(pairs, depth)
        # The compiler rejects a keyword that is repeated, and this name.
        if len(new) != len(pairs) or "__debug__" in new:
            raise _NotSimple
        return new, self._marks.get(line) or self._mark(line)

    def _dict(self, node: ast.Dict, line: int, depth: int) -> tuple[ConfigDict, Mark]:
        self._count(len(node.keys), depth)
        pairs: list[tuple[Any, Any, ast.expr]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if type(key) is not ast.Constant:
                raise _NotSimple
            pairs.append((key.value, key, value))
        return self._pairs(pairs, depth), self._marks.get(line) or self._mark(line)

    def _pairs(self, pairs: list[tuple[Any, Any, ast.expr]], depth: int) -> ConfigDict:
        marks: dict[Any, Mark] = {}
        new = new_dict(marks)
        for key, place, node in pairs:
            if key is None and type(place) is ast.keyword:  # **values
                raise _NotSimple
            line = place.lineno
            # As in `_value`, without a call for the most frequent node.
            if type(node) is ast.Constant:
                _set(new, key, node.value)
                marks[key] = self._marks.get(line) or self._mark(line)
            else:
                value, marks[key] = self._value(node, line, depth)
                _set(new, key, value)
        if not COMMANDS.isdisjoint(marks):
            self.has_commands = True
        return new

    def _sequence(self, node: ast.List | ast.Tuple, line: int, depth: int) -> tuple[Any, Mark]:
        self._count(len(node.elts), depth)
        items: list[Any] = []
        marks: list[Mark] = []
        for item in node.elts:
            value, mark = self._value(item, item.lineno, depth)
            items.append(value)
            marks.append(mark)
        kept = items if type(node) is ast.List else tuple(items)
        return kept, Mark(self._source, line, tuple(marks))

    def _name(self, node: ast.Name, line: int, depth: int) -> tuple[Any, Mark]:
        use = self._uses.get(node.id)
        mark = self._marks.get(line) or self._mark(line)
        if use is not None:
            return BaseReference(use, self._source.file), mark
        if node.id not in self.root:
            raise _NotSimple
        value = dict.__getitem__(self.root, node.id)
        self._count_copied(value, depth)
        items = marks_of(self.root)[node.id].items
        return copy_containers(value), mark if items is None else Mark(self._source, line, items)

    def _count_copied(self, value: Any, depth: int) -> None:
        if isinstance(value, dict | list | tuple):
            self._count(len(value), depth)
            for item in dict.values(value) if isinstance(value, dict) else value:
                self._count_copied(item, depth + 1)

    def _unary(self, node: ast.UnaryOp, line: int, depth: int) -> tuple[Any, Mark]:
        value, mark = self._value(node.operand, line, depth)
        if type(node.op) is not ast.USub or type(value) not in _NUMBERS:
            raise _NotSimple
        return -value, mark

    def _binary(self, node: ast.BinOp, line: int, depth: int) -> tuple[Any, Mark]:
        left, mark = self._value(node.left, line, depth)
        right, _ = self._value(node.right, line, depth)
        calculate = _OPERATORS.get(type(node.op))
        texts = type(left) is str and type(right) is str and calculate is operator.add
        numbers = type(left) in _NUMBERS and type(right) in _NUMBERS
        if calculate is None or not (texts or numbers):
            raise _NotSimple
        if texts:
            self._count((len(left) + len(right)) // 8, depth)
        try:
            value = calculate(left, right)
        except ArithmeticError:
            raise _NotSimple from None
        # A short text can multiply a number to any size.
        if type(value) is int and abs(value) > MAX_NUMBER:
            raise _NotSimple
        return value, mark


_BUILDERS: Final[Mapping[type[ast.expr], Callable[..., tuple[Any, Mark]]]] = {
    ast.BinOp: _Builder._binary,
    ast.Call: _Builder._call,
    ast.Dict: _Builder._dict,
    ast.List: _Builder._sequence,
    ast.Name: _Builder._name,
    ast.Tuple: _Builder._sequence,
    ast.UnaryOp: _Builder._unary,
}
