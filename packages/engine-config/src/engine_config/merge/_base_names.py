"""Read the names of the bases of a plain config: the value of ``_base_``."""

from __future__ import annotations

import ast
import os
from typing import Any

from engine_config._dict import copy_containers
from engine_config._errors import ConfigParseError
from engine_config._keys import BASE_KEY
from engine_config.read._files import Options, Parsed
from engine_config.read._literal import Evaluator
from engine_config.read._substitution import Use


def base_names(parsed: Parsed, options: Options) -> tuple[list[str], int]:
    """Return the names of the bases of a plain config, and the line of ``_base_``.

    Raises:
        ConfigParseError: They are not a file name or a list of file names.
    """
    if parsed.python is not None:
        node = parsed.python.base
        if node is None:
            return [], 0
        return _names(_value(node, parsed, options), parsed, node.lineno), node.lineno
    if BASE_KEY not in parsed.data:
        return [], 0
    lines = parsed.children().get(BASE_KEY)
    line = lines.line if lines is not None else 0
    base = parsed.substitution.resolve(copy_containers(parsed.data[BASE_KEY]), _no_base_yet)
    return _names(base, parsed, line), line


def _no_base_yet(use: Use) -> str:
    raise ConfigParseError("_base_ cannot use values of the bases", line=use.line)


def _value(node: ast.expr, parsed: Parsed, options: Options) -> Any:
    file = parsed.source.file
    if not options.execute:
        return Evaluator(file, {}).value(node)
    try:
        return ast.literal_eval(node)
    except ValueError:
        code = compile(ast.Expression(node), file, "eval")
        try:
            return eval(code, {"__file__": os.path.abspath(file)})
        except Exception as error:
            # The bases are read first, so no statement of the file has run yet.
            message = f"_base_ is read before the rest of the file; use literals only: {error}"
            raise ConfigParseError(message, file=file, line=node.lineno) from error


def _names(value: Any, parsed: Parsed, line: int) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return list(names)
    message = f"_base_ must be a file name or a list of file names, got {value!r}"
    raise ConfigParseError(message, file=parsed.source.file, line=line)
