"""Find the Python configs that give the same values each time that they run.

Most configs only combine literals. The values of such a file are kept for the next reading, which
copies them instead of running the code again.
"""

from __future__ import annotations

import ast
import builtins
import types
from typing import Final

from engine_config._keys import BASE_KEY
from engine_config.read._base_changes import statements

# Functions of their arguments alone, whose results a copy of the values does not share.
_PURE: Final = frozenset(
    [
        "abs",
        "bool",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "len",
        "list",
        "max",
        "min",
        "range",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
    ]
)
# The views of a dict would show a dict that the values do not contain.
_NAMES: Final = (frozenset(dir(builtins)) - _PURE) | {BASE_KEY, "items", "keys", "values"}
_COMPREHENSIONS: Final = ("<dictcomp>", "<listcomp>", "<setcomp>")
_OWN: Final = "__engine_"  # the names that this package adds to the code


def is_repeatable(body: list[ast.stmt], code: types.CodeType) -> bool:
    """Return whether a config gives the same values each time, whatever its bases are.

    Args:
        body: The statements that run.
        code: The compiled statements.
    """
    imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in statements(body))
    return not imports and _is_pure(code)


def _is_pure(code: types.CodeType) -> bool:
    """Return whether code, and the comprehensions in it, use only literals and pure functions."""
    names = code.co_names
    if not _NAMES.isdisjoint(names):
        return False
    if any(name.startswith("__") and not name.startswith(_OWN) for name in names):
        return False
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return all(part.co_name in _COMPREHENSIONS and _is_pure(part) for part in inner)
