"""Show the parameters and the first line of a class or function."""

import inspect
from typing import Any

_LONGEST = 40


def shown_parameters(item: Any) -> dict[str, str | None]:
    """Return the defaults of a callable by parameter, as text; None for one without a default.

    A callable without a signature, such as one written in C, has the parameter ``...``.

    Example:
        >>> shown_parameters(lambda a, *, b=1, **rest: a)
        {'a': None, 'b': '1', '**rest': None}
    """
    try:
        signature = inspect.signature(item)
    except (TypeError, ValueError):
        return {"...": None}
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    return {
        f"{stars.get(parameter.kind.name, '')}{name}": _default(parameter.default)
        for name, parameter in signature.parameters.items()
    }


def summary(item: Any) -> str:
    """Return the first line of the docstring of a class or function itself.

    Example:
        >>> summary(summary)
        'Return the first line of the docstring of a class or function itself.'
    """
    # `inspect.getdoc` would return the text of the parent, which describes another class.
    lines = (getattr(item, "__doc__", None) or "").strip().splitlines()
    first = lines[0].strip() if lines else ""
    name = getattr(item, "__name__", "")
    return "" if first.startswith(f"{name}(") else first  # the text that `dataclass` generates


def _default(value: Any) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    if inspect.isclass(value) or inspect.isroutine(value):
        return str(value.__name__)
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
