"""JSON configs: the values as `json` reads them, the lines from Python's own parser."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from engine_config._errors import ConfigParseError
from engine_config._follow import of_expression
from engine_config._lines import Lines


def read(text: str, file: str) -> tuple[Any, Lines | None]:
    """Return the value of a JSON text, and the lines of its keys.

    Raises:
        ConfigParseError: the text is not JSON.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigParseError(error.msg, file=file, line=error.lineno) from error
    except (RecursionError, ValueError) as error:
        message = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ConfigParseError(message, file=file) from error
    tree = _syntax(text)
    if tree is None:
        return value, None
    _refuse_repeated(tree, file)
    return value, of_expression(tree, {})


def _syntax(text: str) -> ast.expr | None:
    # JSON may write a slash as \/, which is the one escape that Python lacks.
    same = re.sub(r"\\(.)", lambda match: "/" if match[1] == "/" else match[0], text)
    try:
        return ast.parse(f"({same}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the values are right all the same; errors then name the file alone


def _refuse_repeated(tree: ast.expr, file: str) -> None:
    for node in ast.walk(tree):
        lines: dict[object, int] = {}
        for key in node.keys if isinstance(node, ast.Dict) else ():
            if not isinstance(key, ast.Constant):
                continue
            if key.value in lines:
                message = f"the key {key.value!r} is here again, after line {lines[key.value]}"
                raise ConfigParseError(message, file=file, line=key.lineno)
            lines[key.value] = key.lineno
