"""Parts of our docstrings as Markdown, for tables."""

import inspect
import re
from typing import Any

ENTRY = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>.*)$")


def markdown_of(text: str) -> str:
    """Return a docstring's text as Markdown: its names become links, where they have an entry.

    Example:
        >>> markdown_of("Build a `Runner` from ``cfg``.")
        'Build a {engine-name}`Runner` from `cfg`.'
    """
    marked = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"{engine-name}`\1`", " ".join(text.split()))
    return re.sub(r"``(.+?)``", r"`\1`", marked)


def summary_of(item: Any) -> str:
    """Return the first sentence of the docstring of a class or function itself, as Markdown."""
    text = inspect.cleandoc(getattr(item, "__doc__", None) or "").partition("\n\n")[0]
    is_generated = text.startswith(f"{getattr(item, '__name__', '')}(")  # by `dataclass`
    return "" if is_generated else markdown_of(text)


def described_entries(item: Any, section: str) -> dict[str, str]:
    """Return the entries of a section of a class's docstring: text by name.

    Example:
        >>> class Of:
        ...     '''Do it.
        ...
        ...     Args:
        ...         size: The size,
        ...             in pixels.
        ...     '''
        >>> described_entries(Of, "Args")
        {'size': 'The size, in pixels.'}
    """
    text = inspect.cleandoc(getattr(item, "__doc__", None) or "")
    found = re.search(rf"^{section}:\n(?P<body>(?:(?: .*)?\n)*(?: .*)?)", text, flags=re.M)
    body = inspect.cleandoc(found["body"]) if found else ""
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in body.splitlines():
        entry = ENTRY.match(line)
        if entry:
            names = entry["names"].split(", ")
            entries |= dict.fromkeys(names, entry["text"])
        else:
            entries |= {name: f"{entries[name]} {line.strip()}".strip() for name in names}
    return entries
