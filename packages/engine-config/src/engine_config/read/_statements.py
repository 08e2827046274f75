"""Follow the statements of a Python config without running it, with the result that running has."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigError, ConfigParseError
from engine_config._lazy import LazyObject
from engine_config._marks import Mark, Source, followed_mark
from engine_config.origin._follow import updated_globals
from engine_config.read._literal import EVALUATION_ERRORS, Evaluator

# Only the classes that Python itself loops over: no method of the file's is called.
_ITERABLE: Final[tuple[type[Iterable[Any]], ...]] = (
    dict,
    list,
    tuple,
    range,
    enumerate,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)


class Program:
    """The statements of a config that can be followed without running them.

    They are assignments to names, items and attributes, ``del``, ``if``, loops over known values,
    and calls of the methods of dicts and lists.

    Args:
        source: The file.
        names: The values by name before the first statement. The statements add to them.
        make_dict: The function that makes the dicts of a file that changes its bases.
        changing: The statements that may change a base.
        compare: Called with the line of each of these statements after it; it returns the number of
            steps that it took.

    Attributes:
        ran: The statements in the order in which they were followed.
    """

    def __init__(
        self,
        source: Source,
        names: dict[str, Any],
        *,
        make_dict: Callable[[int, Any], Any],
        changing: frozenset[ast.stmt],
        compare: Callable[[int], int],
    ) -> None:
        self._source, self._names = source, names
        self._evaluator = Evaluator(source.file, names, make_dict)
        self._changing, self._compare = changing, compare
        self.ran: list[ast.stmt] = []

    def run(self, statements: Iterable[ast.stmt]) -> None:
        """Follow the statements in order.

        Raises:
            ConfigParseError: A statement needs to run code; the error names its line.
        """
        before = followed_mark.set(None)
        try:
            self._run(statements)
        finally:
            followed_mark.reset(before)

    def _run(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            follow = _STATEMENTS.get(type(statement))
            if follow is None:
                raise self._evaluator.rejected(statement)
            followed_mark.set(Mark(self._source, statement.lineno))
            try:
                follow(self, statement)
            except EVALUATION_ERRORS as error:
                if isinstance(error, ConfigError):
                    raise
                message = f"{type(error).__name__}: {error}"
                raise ConfigParseError(
                    message, file=self._source.file, line=statement.lineno
                ) from error
            if not isinstance(statement, ast.For | ast.If):
                self.ran.append(statement)
            if statement in self._changing:
                self._evaluator.spend(self._compare(statement.lineno), statement)

    def _value(self, node: ast.expr) -> Any:
        return self._evaluator.value(node)

    def _assign(self, statement: ast.Assign) -> None:
        value = self._value(statement.value)
        for target in statement.targets:
            self._bind(target, value)

    def _annotated(self, statement: ast.AnnAssign) -> None:
        if statement.value is not None:
            self._bind(statement.target, self._value(statement.value))

    def _bind(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, list | tuple):
            if any(isinstance(part, ast.Starred) for part in target.elts):
                raise self._evaluator.rejected(target)
            for part, item in zip(target.elts, value, strict=True):
                self._bind(part, item)
        elif isinstance(target, ast.Subscript | ast.Attribute):
            owner, key = self._part(target)
            if isinstance(target, ast.Attribute):
                setattr(owner, key, value)
            else:
                size = len(value) if isinstance(key, slice) and hasattr(value, "__len__") else 0
                self._evaluator.spend(size, target)
                owner[key] = value
        else:
            raise self._evaluator.rejected(target)

    def _part(self, target: ast.Subscript | ast.Attribute) -> tuple[Any, Any]:
        """Return the owner and the key of a part that is set or deleted."""
        owner = self._value(target.value)
        if isinstance(target, ast.Attribute):
            if not isinstance(owner, ConfigDict):
                raise self._evaluator.rejected(target)
            return owner, target.attr
        if not isinstance(owner, dict | list | tuple):
            raise self._evaluator.rejected(target)
        return owner, self._value(target.slice)

    def _augmented(self, statement: ast.AugAssign) -> None:
        target = statement.target
        if isinstance(target, ast.Name):
            old = self._value(ast.copy_location(ast.Name(target.id, ast.Load()), target))
            new = self._evaluator.augmented(statement, old, self._value(statement.value))
            self._names[target.id] = new
            return
        owner, key = self._part(target)
        old = getattr(owner, key) if isinstance(target, ast.Attribute) else owner[key]
        new = self._evaluator.augmented(statement, old, self._value(statement.value))
        if isinstance(target, ast.Attribute):
            setattr(owner, key, new)
        else:
            owner[key] = new

    def _delete(self, statement: ast.Delete) -> None:
        for target in statement.targets:
            if isinstance(target, ast.Name):
                self._value(ast.copy_location(ast.Name(target.id, ast.Load()), target))
                del self._names[target.id]
            elif isinstance(target, ast.Subscript | ast.Attribute):
                owner, key = self._part(target)
                if isinstance(target, ast.Attribute):
                    delattr(owner, key)
                else:
                    del owner[key]
            else:
                raise self._evaluator.rejected(target)

    def _expression(self, statement: ast.Expr) -> None:
        call = statement.value
        if isinstance(call, ast.Call) and updated_globals(statement):
            self._names.update(self._value(call.args[0]))
        elif isinstance(call, ast.Constant):
            return  # a docstring
        elif isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            self._value(call)
        else:
            raise self._evaluator.rejected(statement)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        self._names.update(lazy_names(statement, self._source.file))

    def _for(self, statement: ast.For) -> None:
        if statement.orelse or _leaves(statement.body):
            raise self._evaluator.rejected(statement)
        values = self._value(statement.iter)
        if not isinstance(values, _ITERABLE):
            raise self._evaluator.rejected(statement.iter)
        for value in values:
            self._evaluator.spend(1, statement)
            self._bind(statement.target, value)
            self.ran.append(statement)
            self._run(statement.body)

    def _if(self, statement: ast.If) -> None:
        chosen = statement.body if self._evaluator.truth(statement.test) else statement.orelse
        self._run(chosen)

    def _pass(self, statement: ast.Pass) -> None:
        """Do nothing, as the statement does."""


def _leaves(body: Iterable[ast.stmt]) -> bool:
    """Return whether a loop has a ``break`` or ``continue``."""
    return any(isinstance(node, ast.Break | ast.Continue) for node in _all(body))


def _all(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        yield from _all(getattr(node, "body", []))
        yield from _all(getattr(node, "orelse", []))


_STATEMENTS: Final[dict[type[ast.stmt], Callable[..., None]]] = {
    ast.Assign: Program._assign,
    ast.AnnAssign: Program._annotated,
    ast.AugAssign: Program._augmented,
    ast.Delete: Program._delete,
    ast.Expr: Program._expression,
    ast.For: Program._for,
    ast.If: Program._if,
    ast.Import: Program._import,
    ast.ImportFrom: Program._import,
    ast.Pass: Program._pass,
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
