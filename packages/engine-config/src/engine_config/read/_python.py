"""Parse Python configs once, and run or evaluate them each time they are read."""

from __future__ import annotations
import __future__

import ast
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine_config._errors import ConfigError, ConfigExecutionError, ConfigParseError
from engine_config._keys import BASE_KEY
from engine_config._lazy import LazyObject
from engine_config._marks import SOURCE, Source
from engine_config.origin import Lines
from engine_config.origin._follow import MADE_DICT, follow, updated_globals
from engine_config.read._base_changes import (
    BLOCKS,
    Record,
    changing_statements,
    dict_maker,
    mentions_base,
    reject_new_bases,
    wrap_dicts,
)
from engine_config.read._kind import (
    Kind,
    is_base_assignment,
    is_foreign,
    is_read_base,
    kind_of,
    own_import,
)
from engine_config.read._repeatable import is_repeatable
from engine_config.read._simple import Template, simple_values
from engine_config.read._statements import Program, lazy_names
from engine_config.read._substitution import BaseReference, Substitution

_LAZY: Final = "__engine_lazy__"
# Top-level values of these classes are helpers of the file's code, not keys of the config.
CODE: Final = (
    __future__._Feature,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    type,
    LazyObject,
)


_NO_CODE: Final = compile("", "<nothing>", "exec")


@dataclass(frozen=True, kw_only=True)
class PythonConfig:
    """A parsed Python config.

    Attributes:
        file: The path that errors and tracebacks name.
        kind: ``"plain"`` with ``_base_``, ``"lazy"`` with ``read_base`` or imported types, else
            ``"either"``.
        kind_is_decided: Whether it has this kind whatever the option ``lazy`` is.
        base: The expression assigned to ``_base_``, if any.
        base_imports: The imports inside ``with read_base()``.
        body: The other statements, if they are followed without running them; else empty.
        code: The compiled statements, instrumented to record the assignments that run.
        lines: The lines of the top-level names, or None if they depend on how the code runs.
        followed: The statements whose order decides the lines. The code records their positions.
        changing: The statements that may change ``_base_``, as for ``body``.
        last_change: The last line of such a statement; 0 if there is none.
        repeatable: Whether each run gives the same values, whatever the bases are.
        dict_lines: The lines of the keys of each dict, in a file that may change ``_base_``.
        stand_ins: The lazy objects of the imports; the code refers to them by position.
        imported: The same objects by the names that the file gives them.
        explicit: The keys set by ``globals().update({…})``: keys of the config, even if the value
            is a class.
        template: The values of a file that only assigns literals, which never runs; it has no code.
    """

    file: str
    kind: Kind
    kind_is_decided: bool
    base: ast.expr | None
    base_imports: tuple[ast.ImportFrom, ...]
    template: Template | None
    body: list[ast.stmt] = field(default_factory=list)
    code: types.CodeType = _NO_CODE
    lines: Mapping[object, Lines] | None = None
    followed: list[ast.stmt] = field(default_factory=list)
    changing: frozenset[ast.stmt] = frozenset()
    last_change: int = 0
    repeatable: bool = True
    dict_lines: list[Mapping[object, int]] = field(default_factory=list)
    stand_ins: list[LazyObject] = field(default_factory=list)
    imported: Mapping[str, LazyObject] = field(default_factory=dict)
    explicit: frozenset[object] = frozenset()


def parse(
    substitution: Substitution, source: Source, *, lazy: bool | None, execute: bool
) -> PythonConfig:
    """Parse and compile the text of a Python config.

    Args:
        substitution: The text, with ``{{…}}`` already replaced, and the meaning of the uses.
        source: The text as it was read, and its path, which errors and tracebacks name.
        lazy: Whether its imports are lazy; None to decide by the text.
        execute: Whether the code will run.

    Raises:
        ConfigParseError: The text is not valid Python.
    """
    file = source.file
    try:
        tree = ast.parse(substitution.text, filename=file)
        if substitution.uses:
            tree = _Constants(substitution).visit(tree)
        base, base_imports, body = _take_bases(tree.body, file)
        # The values of a lazy file with bases may be names of the bases.
        simple = None if base_imports else simple_values(body, source, substitution.uses)
        python = PythonConfig(
            file=file,
            kind=kind_of(tree, lazy),
            kind_is_decided=base is not None or bool(base_imports),
            base=base,
            base_imports=base_imports,
            template=simple,
        )
        return python if simple is not None else _compiled(python, body, execute)
    except SyntaxError as error:
        raise ConfigParseError(error.msg, file=file, line=error.lineno or 0) from error
    # The parser raises ValueError for null bytes, and the others for deep nesting.
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        if isinstance(error, ConfigError):  # ConfigParseError is a ValueError too
            raise
        message = str(error) or "it is nested too deeply to be parsed"
        raise ConfigParseError(message, file=file) from error


def _compiled(python: PythonConfig, body: list[ast.stmt], execute: bool) -> PythonConfig:
    file, kind = python.file, python.kind
    # Without blocks, statements run in the order of the text, so the lines are known now. With an
    # `if` or a loop, the code records which assignments it runs.
    blocks = any(isinstance(node, BLOCKS) for node in body)
    followed: list[ast.stmt] = []
    record = Record(followed if blocks else None, frozenset())
    running = record.statements(body) if blocks else body
    stand_ins: list[LazyObject] = []
    imported: dict[str, LazyObject] = {}
    if kind == "lazy":
        running = _lazy_imports(running, file, stand_ins, imported)
    code = _code(running, file)
    changing: frozenset[ast.stmt] = frozenset()
    dict_lines: list[Mapping[object, int]] = []
    if mentions_base(code):
        reject_new_bases(body, file)
        changing = changing_statements(body) if kind == "plain" else changing
    if changing:
        followed.clear()
        dict_lines = wrap_dicts(body)
        code = _code(Record(followed if blocks else None, changing).statements(body), file)
    return replace(
        python,
        # Not kept to be run: the trees of hundreds of files would slow the garbage collector.
        body=[] if execute else body,
        code=code,
        lines=None if blocks else follow(body),
        followed=followed,
        changing=frozenset() if execute else changing,
        last_change=max((statement.lineno for statement in changing), default=0),
        repeatable=is_repeatable(running, code),
        dict_lines=dict_lines,
        stand_ins=stand_ins,
        imported=imported,
        explicit=frozenset(key for node in body for key in updated_globals(node)),
    )


def _code(body: list[ast.stmt], file: str) -> types.CodeType:
    # dont_inherit: otherwise the __future__ imports of this module would apply to the config.
    return compile(ast.Module(body=body, type_ignores=[]), file, "exec", dont_inherit=True)


def _take_bases(
    body: list[ast.stmt], file: str
) -> tuple[ast.expr | None, tuple[ast.ImportFrom, ...], list[ast.stmt]]:
    """Return the value of ``_base_``, the imports in ``read_base()``, and the other statements."""
    bases: list[ast.expr] = []
    imports: list[ast.ImportFrom] = []
    rest: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_base_assignment(node):
            bases.extend([node.value] if node.value is not None else [])
        elif isinstance(node, ast.With) and is_read_base(node):
            imports.extend(_base_import(inner, file) for inner in node.body)
        else:
            rest.append(node)
    rest = [node for node in map(own_import, rest) if node is not None]
    if len(bases) > 1:
        message = "_base_ is set twice; write one list of all bases"
        raise ConfigParseError(message, file=file, line=bases[1].lineno)
    if bases and imports:
        message = "the file uses both _base_ and read_base(); choose one"
        raise ConfigParseError(message, file=file, line=bases[0].lineno)
    return bases[0] if bases else None, tuple(imports), rest


def _base_import(node: ast.stmt, file: str) -> ast.ImportFrom:
    if isinstance(node, ast.ImportFrom):
        return node
    raise ConfigParseError(
        f"`{ast.unparse(node)}`: only `from … import …` may stand inside `with read_base():`",
        file=file,
        line=node.lineno,
    )


class _Constants(ast.NodeTransformer):
    """Replace file and environment variables by constants.

    They are replaced in the syntax tree, not in the text: a value from the environment can then not
    become code.
    """

    def __init__(self, substitution: Substitution) -> None:
        self._substitution = substitution

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and self._substitution.prefix in node.value:
            text = self._substitution.constant(node.value)
            return ast.copy_location(ast.Constant(text), node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        use = self._substitution.uses.get(node.id)
        if use is None or use.base is not None:
            return node
        value = self._substitution.value_of(use)
        # A value such as [1, 2] has several nodes, and compile() needs the line of each node.
        expression = ast.parse(repr(value), mode="eval").body
        for part in ast.walk(expression):
            ast.copy_location(part, node)
        return expression


def _lazy_imports(
    body: list[ast.stmt], file: str, stand_ins: list[LazyObject], imported: dict[str, LazyObject]
) -> list[ast.stmt]:
    """Replace imports by lazy objects, except imports of the standard library."""
    result: list[ast.stmt] = []
    for node in body:
        if not isinstance(node, ast.Import | ast.ImportFrom) or not (
            is_foreign(node) or (isinstance(node, ast.ImportFrom) and node.level)
        ):
            result.append(node)
            continue
        for name, stand_in in lazy_names(node, file).items():
            number = ast.Constant(len(stand_ins))
            value = ast.Subscript(ast.Name(_LAZY, ast.Load()), number, ast.Load())
            assignment = ast.Assign([ast.Name(name, ast.Store())], value)
            result.append(ast.fix_missing_locations(ast.copy_location(assignment, node)))
            stand_ins.append(stand_in)
            imported[name] = stand_in
    return result


# --- running ---------------------------------------------------------------------------------


def run(
    config: PythonConfig,
    names: dict[str, Any],
    substitution: Substitution,
    *,
    source: Source,
    execute: bool,
    compare: Callable[[int], int],
) -> tuple[dict[str, Any], Mapping[object, Lines]]:
    """Return the values that a config assigns at its top level, and their lines.

    The values of ``_base_`` are changed if the file does so.

    Args:
        config: The parsed file.
        names: The values its statements can refer to: ``_base_``, or the names of lazy bases.
        substitution: The meaning of its ``{{…}}``.
        source: The text of the file.
        execute: Whether code may run; otherwise it is followed without running it.
        compare: Called with the line of each statement that may have changed ``_base_``; it
            returns the number of steps that it took.

    Raises:
        ConfigExecutionError: The code raised an error, which is the cause.
        ConfigParseError: ``execute`` is False, and a statement needs to run code.
    """
    for name, use in substitution.uses.items():
        if use.base is not None:
            names[name] = BaseReference(use, config.file)
    inner = {BASE_KEY, *substitution.uses}
    make_dict = dict_maker(config.dict_lines, source)
    if execute:
        own = {Record.CHANGED: compare, MADE_DICT: make_dict, SOURCE: source}
        space, lines = _executed(config, names, own)
    else:
        program = Program(
            source, names, make_dict=make_dict, changing=config.changing, compare=compare
        )
        program.run(config.body)
        space, lines = names, config.lines or follow(program.ran)
    return _kept(space, inner, config.explicit), lines


def _executed(
    config: PythonConfig, names: dict[str, Any], own: dict[str, Any]
) -> tuple[dict[str, Any], Mapping[object, Lines]]:
    seen: list[int] = []
    space = {
        **names,
        **own,
        "__builtins__": __builtins__,
        # Not "__main__", so that a block `if __name__ == "__main__":` does not run.
        "__file__": os.path.abspath(config.file),
        "__name__": "__engine_config__",
        _LAZY: config.stand_ins,
        Record.SEEN: seen.append,
    }
    _execute(config, space)
    lines = config.lines
    if lines is None:
        lines = follow(config.followed[number] for number in seen)
    return space, lines


def _kept(names: Mapping[str, Any], inner: set[str], explicit: frozenset[object]) -> dict[str, Any]:
    # Names that begin with two underscores are Python's, or were added here.
    return {
        key: value
        for key, value in names.items()
        if not (isinstance(key, str) and key.startswith("__"))
        and key not in inner
        and (key in explicit or not isinstance(value, CODE))
    }


def _execute(config: PythonConfig, space: dict[str, Any]) -> None:
    try:
        exec(config.code, space)
    except ConfigError:
        raise
    except Exception as error:
        # Find the deepest frame in the file: the error may come from a function that the file
        # calls.
        line, trace = 0, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == config.file:
                line = trace.tb_lineno
            trace = trace.tb_next
        message = f"{type(error).__name__}: {error}"
        # A common mistake: a key of the base is used as a name in this file.
        if isinstance(error, NameError) and error.name in space.get(BASE_KEY, ()):
            message = f"{message} here, but in the base: write _base_.{error.name}"
        raise ConfigExecutionError(message, file=config.file, line=line) from error
