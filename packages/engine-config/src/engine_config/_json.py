"""JSON configs: the values as `json` reads them, the lines from Python's own parser."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from engine_config._errors import ConfigParseError
from engine_config._lines import Lines, of_expression


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
    return value, _lines(text)


def _lines(text: str) -> Lines | None:
    # JSON may write a slash as \/, which is the one escape that Python lacks.
    same = re.sub(r"\\(.)", lambda match: "/" if match[1] == "/" else match[0], text)
    try:
        return of_expression(ast.parse(f"({same}\n)", mode="eval").body, {})
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the values are right all the same; errors then name the file alone
