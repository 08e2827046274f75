"""The message of a construction that failed."""

import difflib
import inspect
import reprlib
from collections.abc import Callable
from typing import Any


def explain(
    factory: Callable[..., Any], arguments: dict[str, Any], kind: Any, error: Exception
) -> str:
    """Say what failed and why: which argument was wrong, and what the signature is."""
    try:
        signature = inspect.signature(factory).replace(return_annotation=inspect.Signature.empty)
    except (TypeError, ValueError):  # some built-in classes have none
        signature = None
    problem = _mismatch(signature, arguments) if signature else []
    lines = [f"cannot build {_name(factory)}: {'; '.join(problem) or _describe(error)}"]
    if problem:
        lines.append(f"  signature: {getattr(factory, '__name__', factory)}{signature}")
    lines.append(f"  config: {_config(kind, arguments)}")
    return "\n".join(lines)


def where(factory: Callable[..., Any], arguments: dict[str, Any], kind: Any) -> str:
    """Name what is built, and the config it is built from."""
    return f"{_name(factory)} from {_config(kind, arguments)}"


def _mismatch(signature: inspect.Signature, arguments: dict[str, Any]) -> list[str]:
    parameters = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    problems = []
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        free = [name for name in parameters if name not in arguments]
        problems = [_unexpected(key, free) for key in arguments if key not in parameters]
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in arguments
    ]
    if missing:
        problems.append(f"missing {', '.join(map(repr, missing))}")
    return problems


def _unexpected(key: str, free: list[str]) -> str:
    close = difflib.get_close_matches(str(key), free, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return f"it takes no argument {key!r}{hint}"


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _name(factory: Callable[..., Any]) -> str:
    name = getattr(factory, "__qualname__", None) or repr(factory)
    module = getattr(factory, "__module__", None)
    return f"`{name}` ({module})" if module else f"`{name}`"


def _config(kind: Any, arguments: dict[str, Any]) -> str:
    shown = reprlib.Repr()
    shown.maxdict, shown.maxstring, shown.maxother, shown.maxlevel = 12, 80, 80, 3
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", kind)
    items = shown.repr(arguments)[1:-1]
    return "{'type': " + repr(kind) + (f", {items}" if items else "") + "}"
