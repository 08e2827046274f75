"""Evaluate Python configs without running them: ``Config.fromfile(…, execute=False)``."""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigError, ConfigParseError
from engine_config._lazy import LazyObject
from engine_config.origin._follow import MADE_DICT
from engine_config.read._base_changes import UnwrapDicts

_MAX_SIZE: Final = 1_000_000  # of a string or sequence joined with +
_MAX_STEPS: Final = 1_000_000  # evaluated expressions of one file; eight copied items are one
MAX_NUMBER: Final = 1 << 256  # for a calculated integer: a*a*a… must not fill the memory


def _bytearray(value: bytes = b"") -> bytearray:
    # bytearray(10**12) would allocate a terabyte.
    if not isinstance(value, bytes):
        raise TypeError("bytearray takes bytes in a config")
    return bytearray(value)


EVALUATION_ERRORS: Final = (
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RuntimeError,  # a dict changed its size in a loop over it
)
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
    "len": len,
    "enumerate": enumerate,
}
# The methods that can be called on these classes: those that call nothing else. Hashing and
# comparing literal values runs no code of the file.
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    dict: frozenset(
        [
            "clear",
            "copy",
            "get",
            "items",
            "keys",
            "pop",
            "popitem",
            "setdefault",
            "update",
            "values",
        ]
    ),
    list: frozenset(
        [
            "append",
            "clear",
            "copy",
            "count",
            "extend",
            "index",
            "insert",
            "pop",
            "remove",
            "reverse",
            "sort",
        ]
    ),
    tuple: frozenset(["count", "index"]),
    set: frozenset(["add", "clear", "copy", "discard", "pop", "remove", "update"]),
}
_COMPARING: Final = frozenset(["count", "index", "remove", "sort", "discard"])
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, owner: item in owner,
    ast.NotIn: lambda item, owner: item not in owner,
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
}


class Evaluator:
    """Evaluate expressions of a config file: literals, parts of known values, and simple calls.

    Args:
        file: The path of the file, for errors.
        names: The values by name.
        make_dict: The function that makes the dicts of a file that changes its bases.
    """

    def __init__(
        self,
        file: str,
        names: dict[str, Any],
        make_dict: Callable[[int, Any], Any] | None = None,
    ) -> None:
        self._file, self._make_dict = file, make_dict
        self.names = names
        self._left = _MAX_STEPS

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression.

        Raises:
            ConfigParseError: It needs to run code, or running it would fail.
        """
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise self.rejected(node)
        self.spend(1, node)
        try:
            return handler(self, node)
        except EVALUATION_ERRORS as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigParseError(str(error), file=self._file, line=node.lineno) from error

    def truth(self, node: ast.expr) -> bool:
        """Return whether the value of a condition is true."""
        return self.truth_of(self.value(node), node)

    def truth_of(self, value: Any, node: ast.expr) -> bool:
        """Return whether a value is true.

        Raises:
            ConfigParseError: The value is not known without running code.
        """
        self._reject_unknown(node, value)
        return bool(value)

    def _reject_unknown(self, node: ast.expr, *values: Any) -> None:
        # A LazyObject stands for a value that only an import could give.
        if LazyObject.created and any(map(_holds_lazy, values)):
            raise self.rejected(node)

    def spend(self, steps: int, node: ast.stmt | ast.expr) -> None:
        """Count steps of work.

        Raises:
            ConfigParseError: The file takes too many: loops multiply them.
        """
        self._left -= steps
        if self._left < 0:
            message = f"the config takes more than {_MAX_STEPS:,} steps to evaluate"
            raise ConfigParseError(message, file=self._file, line=node.lineno)

    def rejected(self, node: ast.stmt | ast.expr) -> ConfigParseError:
        """Return the error for a statement or expression that needs to run code."""
        # A copy, because the parsed file is cached.
        what = ast.unparse(UnwrapDicts().visit(copy.deepcopy(node))).partition("\n")[0]
        what = what if len(what) <= 60 else f"{what[:57]}..."
        return ConfigParseError(
            f"`{what}` would have to run; with execute=False a config may only assign "
            "literals and change them by the methods of dicts and lists",
            file=self._file,
            line=node.lineno,
        )

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise self.rejected(node)
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
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == MADE_DICT and self._make_dict is not None:
            number, made = node.args
            return self._make_dict(self.value(number), self.value(made))
        # If the config has a key named `dict`, the name is not the built-in: running the file would
        # fail too.
        if name not in _CONSTRUCTORS or name in self.names:
            raise self.rejected(node)
        arguments, keywords = self._arguments(node)
        return _CONSTRUCTORS[name](*arguments, **keywords)

    def _arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        arguments = [self._bounded(self.value(argument), node) for argument in node.args]
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                keywords.update(self.value(keyword.value))
            else:
                keywords[keyword.arg] = self.value(keyword.value)
        for argument in arguments:
            self.spend(_size(argument), node)
        return arguments, keywords

    def _method(self, node: ast.Call, function: ast.Attribute) -> Any:
        owner = self.value(function.value)
        kind = dict if type(owner) is ConfigDict else type(owner)
        if function.attr not in _METHODS.get(kind, ()):
            raise self.rejected(node)
        arguments, keywords = self._arguments(node)
        if function.attr in _COMPARING:
            self._reject_unknown(node, owner, *arguments)
        self.spend(_size(owner), node)
        result = getattr(owner, function.attr)(*arguments, **keywords)
        self._bounded(owner, node)
        return result

    def augmented(self, node: ast.AugAssign, old: Any, added: Any) -> Any:
        """Return the value of ``old += added``; a list or dict is changed in place."""
        if isinstance(node.op, ast.Add) and type(old) is list:
            if not isinstance(added, list | tuple | dict | range | set):
                raise self.rejected(node)
            self.spend(_size(added), node)
            old += added
            return self._bounded(old, node)
        if isinstance(node.op, ast.BitOr) and isinstance(old, dict) and isinstance(added, dict):
            self.spend(_size(added), node)
            old |= added
            return old
        return self._operation(node, left=old, right=added)

    def _binary(self, node: ast.BinOp) -> Any:
        return self._operation(node, left=self.value(node.left), right=self.value(node.right))

    def _operation(self, node: ast.BinOp | ast.AugAssign, *, left: Any, right: Any) -> Any:
        # Strings and sequences can only be joined: `"ab" * 10**9` and `%` formats would create
        # values of any size from a short text.
        numbers = all(isinstance(side, int | float | complex) for side in (left, right))
        joins = isinstance(node.op, ast.Add) and type(left) is type(right)
        if type(node.op) not in _OPERATORS or not (
            numbers or (joins and isinstance(left, str | bytes | list | tuple))
        ):
            raise self.rejected(node)
        if joins and not numbers:
            self.spend(_size(left) + _size(right), node)
        return self._bounded(_OPERATORS[type(node.op)](left, right), node)

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for operation, part in zip(node.ops, node.comparators, strict=True):
            right = self.value(part)
            self._reject_unknown(node, left, right)
            for side in (left, right):
                self.spend(_size(side), node)
            if not _COMPARISONS[type(operation)](left, right):
                return False
            left = right
        return True

    def _boolean(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for part in node.values:
            value = self.value(part)
            if self.truth_of(value, part) is isinstance(node.op, ast.Or):
                break
        return value

    def _slice(self, node: ast.Slice) -> slice:
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self.value(part) for part in parts))

    def _bounded(self, value: Any, node: ast.expr | ast.stmt) -> Any:
        # Checked after each operation, because nested operations multiply the size.
        too_big = isinstance(value, int) and abs(value) > MAX_NUMBER
        if too_big or (
            isinstance(value, str | bytes | list | tuple | range) and len(value) > _MAX_SIZE
        ):
            raise ConfigParseError(
                "the calculated value is too big", file=self._file, line=node.lineno
            )
        return value

    def _unary(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand)
        operand = self.value(node.operand)
        if type(node.op) not in _UNARY or not isinstance(operand, int | float | complex):
            raise self.rejected(node)
        return _UNARY[type(node.op)](operand)

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if isinstance(owner, LazyObject):
            return getattr(owner, node.attr)
        # A plain dict has no keys as attributes; and a method is not a value of a config.
        if not isinstance(owner, ConfigDict) or hasattr(ConfigDict, node.attr):
            raise self.rejected(node)
        if node.attr not in owner:
            return getattr(owner, node.attr)  # raises with the closest key
        return dict.__getitem__(owner, node.attr)

    def _subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        if not isinstance(owner, dict | list | tuple | str | range):
            raise self.rejected(node)
        if isinstance(node.slice, ast.Slice):
            self.spend(_size(owner), node)
        key = self.value(node.slice)
        if isinstance(owner, ConfigDict) and key not in owner:
            return owner[key]  # raises with the closest key
        # Not ConfigDict.__getitem__, which would import a lazy name.
        return dict.__getitem__(owner, key) if isinstance(owner, dict) else owner[key]


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
    ast.Slice: Evaluator._slice,
    ast.Compare: Evaluator._compare,
    ast.BoolOp: Evaluator._boolean,
}


def _size(value: Any) -> int:
    """Return the steps to copy or compare a value."""
    return 1 + len(value) // 8 if hasattr(value, "__len__") else 1


def _holds_lazy(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_lazy, dict.values(value)))
    if isinstance(value, list | tuple):
        return any(map(_holds_lazy, value))
    return isinstance(value, LazyObject)
