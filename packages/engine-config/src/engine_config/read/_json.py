"""Read JSON configs: parse the values with `json`, and find the lines with Python's parser."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from engine_config._errors import ConfigParseError
from engine_config.origin import Lines
from engine_config.origin._follow import of_expression


def read(text: str, file: str) -> tuple[Any, Lines | None]:
    """Return the value of a JSON text, and the lines of its keys.

    Raises:
        ConfigParseError: The text is not JSON, or gives a key twice.
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
    _reject_repeated(tree, file)
    return value, of_expression(tree, {})


def _syntax(text: str) -> ast.expr | None:
    # `json` returns no line numbers, but Python's parser does. JSON is nearly valid Python: `true`
    # parses as a name, and only the escape \/ for a slash does not exist in Python.
    same = re.sub(r"\\(.)", lambda match: "/" if match[1] == "/" else match[0], text)
    try:
        return ast.parse(f"({same}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the values are still correct; errors then have no line


def _reject_repeated(tree: ast.expr, file: str) -> None:
    for node in ast.walk(tree):
        lines: dict[object, int] = {}
        for key in node.keys if isinstance(node, ast.Dict) else ():
            if not isinstance(key, ast.Constant):
                continue
            # `json` silently keeps the last value of a repeated key.
            if key.value in lines:
                message = f"the key {key.value!r} repeats the key of line {lines[key.value]}"
                raise ConfigParseError(message, file=file, line=key.lineno)
            lines[key.value] = key.lineno
