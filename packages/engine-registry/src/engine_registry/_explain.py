"""Explain why a construction failed."""

import os
import reprlib
from collections.abc import Callable
from typing import Any

from engine_utils import call_mistakes, mask_secrets

_SHOWN_REASONS = 4
_PLAIN = (bool, float, complex, bytes, os.PathLike)


class _Short(reprlib.Repr):
    """Show a built object by its class, and an array also by its shape, not by its values."""

    def repr_instance(self, x: Any, level: int) -> str:
        """Return the text of a value that is not a plain one."""
        if isinstance(x, dict):  # such as a config's own kind
            return self.repr_dict(x, level)
        if x is None or isinstance(x, _PLAIN) or hasattr(x, "__name__"):  # a class or function
            return super().repr_instance(x, level)
        shape = getattr(x, "shape", None)
        size = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
        return f"<{type(x).__name__}{size}>"


def explain(
    factory: Callable[..., Any], arguments: dict[str, Any], kind: Any, error: Exception
) -> str:
    """Return a message with the arguments that do not fit, the signature and the config.

    Args:
        factory: The class or function that failed.
        arguments: The arguments of the call.
        kind: The value of ``type`` in the config.
        error: The error that it raised.
    """
    mistakes = list(call_mistakes(factory, arguments))
    rejected = [mistake.message for mistake in mistakes if mistake.kind != "wrong type"]
    # A decorator may accept or add arguments that the signature does not show. Report such mistakes
    # only if the call itself failed, with a TypeError.
    if not (rejected and isinstance(error, TypeError)):
        rejected = []
    # Replace Python's own message: it names only one wrong argument, and suggests none.
    reasons = rejected or [f"{type(error).__name__}: {error}"]
    # A value of a wrong type may cause an error that does not name the argument.
    reasons += [mistake.message for mistake in mistakes if mistake.kind == "wrong type"]
    more = len(reasons) - _SHOWN_REASONS
    if more > 0:
        reasons[_SHOWN_REASONS:] = [f"and {more} more"]
    if rejected:
        reasons.append(f"signature: {_signature(factory)}")
    reasons.append(f"config: {_config(kind, arguments)}")
    return f"cannot build {_name(factory)}: " + "\n  ".join(reasons)


def describe_call(factory: Callable[..., Any], arguments: dict[str, Any], kind: Any) -> str:
    """Return the name of what is built, and the config it is built from."""
    return f"{_name(factory)} from {_config(kind, arguments)}"


def _signature(factory: Callable[..., Any]) -> str:
    import inspect  # slow to import, and only failures need it

    signature = inspect.signature(factory).replace(return_annotation=inspect.Signature.empty)
    return f"{getattr(factory, '__name__', factory)}{signature}"


def _name(factory: Callable[..., Any]) -> str:
    name = getattr(factory, "__qualname__", None) or repr(factory)
    module = getattr(factory, "__module__", None)
    return f"`{name}` ({module})" if module else f"`{name}`"


def _config(kind: Any, arguments: dict[str, Any]) -> str:
    # A config may hold a whole model or dataset, so the text is shortened at each level.
    shown = _Short()
    shown.maxdict, shown.maxstring, shown.maxother, shown.maxlevel = 12, 80, 80, 3
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", kind)
    items = shown.repr(mask_secrets(arguments))[1:-1]
    return "{'type': " + repr(kind) + (f", {items}" if items else "") + "}"
