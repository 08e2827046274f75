"""Evaluate Python configs without running them: ``Config.fromfile(…, execute=False)``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from engine_config._dict import copy_containers
from engine_config._errors import ConfigParseError
from engine_config._lazy import LazyObject
from engine_config.origin._follow import updated_globals

_MAX_SIZE: Final = 1_000_000  # of a string or sequence joined with +
_MAX_NUMBER: Final = 1 << 256  # for a calculated integer: a*a*a… must not fill the memory


def _bytearray(value: bytes = b"") -> bytearray:
    # bytearray(10**12) would allocate a terabyte.
    if not isinstance(value, bytes):
        raise TypeError("bytearray takes bytes in a config")
    return bytearray(value)


_CONSTRUCTORS: Final[Mapping[str, Callable[..., Any]]] = {
    "dict": dict,
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "float": float,
    "complex": complex,
    "range": range,
    "slice": slice,
    "bytearray": _bytearray,
}
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}


class Evaluator:
    """Evaluate the statements of a config file that assign literal values.

    Args:
        file: The path of the file, for errors.
        names: The values by name before the first statement. The statements add to them.
    """

    def __init__(self, file: str, names: dict[str, Any]) -> None:
        self._file = file
        self.names = names

    def run(self, statements: Iterable[ast.stmt]) -> None:
        """Evaluate the statements in order.

        Raises:
            ConfigParseError: A statement needs to run code; the error names its line.
        """
        for statement in statements:
            if isinstance(statement, ast.Assign):
                value = self.value(statement.value)
                for target in statement.targets:
                    self._assign(target, value)
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                self._assign(statement.target, self.value(statement.value))
            elif isinstance(statement, ast.Expr):
                self._expression(statement.value)
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                self.names.update(lazy_names(statement, self._file))
            elif not isinstance(statement, ast.Pass):
                raise self._rejected(statement)

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise self._rejected(node)
        try:
            return handler(self, node)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            if isinstance(error, ConfigParseError):
                raise
            raise ConfigParseError(str(error), file=self._file, line=node.lineno) from error

    def _rejected(self, node: ast.stmt | ast.expr) -> ConfigParseError:
        what = ast.unparse(node).partition("\n")[0]
        what = what if len(what) <= 60 else f"{what[:57]}..."
        return ConfigParseError(
            f"`{what}` would have to run; with execute=False a config may only assign literals",
            file=self._file,
            line=node.lineno,
        )

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        # Not inside of `_base_`: each read returns a copy, so the change would be lost.
        elif isinstance(target, ast.Subscript) and not self._is_base(target):
            owner, key = self.value(target.value), self.value(target.slice)
            try:
                owner[key] = value
            except (TypeError, IndexError) as error:
                raise ConfigParseError(str(error), file=self._file, line=target.lineno) from error
        else:
            raise self._rejected(target)

    def _is_base(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id == "_base_"

    def _expression(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Call) and updated_globals(ast.Expr(node)):
            self.names.update(self.value(node.args[0]))
            return
        raise self._rejected(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise self._rejected(node)
        return self.names[node.id]

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                result.update(self.value(value))
            else:
                result[self.value(key)] = self.value(value)
        return result

    def _items(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        items: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                items.extend(self._bounded(self.value(item.value), node))
            else:
                items.append(self.value(item))
            self._bounded(items, node)
        return items

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._items(node))

    def _set(self, node: ast.Set) -> set[Any]:
        return set(self._items(node))

    def _call(self, node: ast.Call) -> Any:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        # If the config has a key named `dict`, the name is not the built-in: running the file would
        # fail too.
        if name not in _CONSTRUCTORS or name in self.names:
            raise self._rejected(node)
        arguments = [self._bounded(self.value(argument), node) for argument in node.args]
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                keywords.update(self.value(keyword.value))
            else:
                keywords[keyword.arg] = self.value(keyword.value)
        return _CONSTRUCTORS[name](*arguments, **keywords)

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        # Strings and sequences can only be joined: `"ab" * 10**9` and `%` formats would create
        # values of any size from a short text.
        numbers = all(isinstance(side, int | float | complex) for side in (left, right))
        joins = isinstance(node.op, ast.Add) and type(left) is type(right)
        if type(node.op) not in _OPERATORS or not (
            numbers or (joins and isinstance(left, str | bytes | list | tuple))
        ):
            raise self._rejected(node)
        return self._bounded(_OPERATORS[type(node.op)](left, right), node)

    def _bounded(self, value: Any, node: ast.expr) -> Any:
        # Checked after each operation, because nested operations multiply the size.
        too_big = isinstance(value, int) and abs(value) > _MAX_NUMBER
        if too_big or (
            isinstance(value, str | bytes | list | tuple | range) and len(value) > _MAX_SIZE
        ):
            raise ConfigParseError(
                "the calculated value is too big", file=self._file, line=node.lineno
            )
        return value

    def _unary(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        if type(node.op) not in _UNARY or not isinstance(operand, int | float | complex):
            raise self._rejected(node)
        return _UNARY[type(node.op)](operand)

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if isinstance(owner, LazyObject):
            return getattr(owner, node.attr)
        if not isinstance(owner, dict) or node.attr not in owner:
            raise self._rejected(node)
        return self._part(node, dict.__getitem__(owner, node.attr))

    def _subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        if not isinstance(owner, dict | list | tuple | str):
            raise self._rejected(node)
        return self._part(node, owner[self.value(node.slice)])

    def _part(self, node: ast.Attribute | ast.Subscript, value: Any) -> Any:
        # Return a copy, as `BaseView` does when the config runs.
        own = isinstance(node.value, ast.Name) and node.value.id == "_base_"
        return copy_containers(value) if own else value


_HANDLERS: Final[Mapping[type[ast.expr], Callable[[Evaluator, Any], Any]]] = {
    ast.Constant: Evaluator._constant,
    ast.Name: Evaluator._name,
    ast.Dict: Evaluator._dict,
    ast.List: Evaluator._items,
    ast.Tuple: Evaluator._tuple,
    ast.Set: Evaluator._set,
    ast.Call: Evaluator._call,
    ast.BinOp: Evaluator._binary,
    ast.UnaryOp: Evaluator._unary,
    ast.Attribute: Evaluator._attribute,
    ast.Subscript: Evaluator._subscript,
}


def lazy_names(node: ast.Import | ast.ImportFrom, file: str) -> dict[str, LazyObject]:
    """Return the names that an import statement binds, as lazy objects.

    Raises:
        ConfigParseError: The statement imports ``*``, or is relative.
    """
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: LazyObject(
                alias.name if alias.asname else alias.name.partition(".")[0],
                file=file,
                line=node.lineno,
            )
            for alias in node.names
        }
    if node.level or any(alias.name == "*" for alias in node.names):
        raise ConfigParseError(
            f"`{ast.unparse(node)}`: relative and star imports are for base configs, inside "
            "`with read_base():`",
            file=file,
            line=node.lineno,
        )
    return {
        alias.asname or alias.name: LazyObject(
            node.module or "", alias.name, file=file, line=node.lineno
        )
        for alias in node.names
    }
