"""Parse values written without Python's quotes, as on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

# A string, which `re` compiles at first use: most programs never parse an option.
_NUMBER: Final = (
    r"[+-]?(?:\d+(?P<point>\.\d*)?|(?P<only>\.\d+))(?P<exponent>[eE][+-]?\d+)?"
    r"|(?P<special>[+-]?(?:inf|infinity|nan))"
)
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "none": None}
_PAIRS: Final = {"[": "]", "(": ")", "{": "}"}


def parse_value(text: str) -> Any:
    """Parse the right side of a ``key=value``.

    Raises:
        ValueError: Brackets or quotes are not closed.

    Example:
        >>> parse_value("8,11"), parse_value("none"), parse_value("don't")
        ([8, 11], None, "don't")
    """
    parts = _split(text)
    if len(parts) > 1:
        return [_scalar_or_brackets(part) for part in (parts if parts[-1] else parts[:-1])]
    return _scalar_or_brackets(text.strip())


def _scalar_or_brackets(text: str) -> Any:
    if text[:1] in ("[", "(") and _is_enclosed(text):
        inner = text[1:-1].strip()
        parts = _split(inner) if inner else []
        if len(parts) > 1 and not parts[-1]:
            parts.pop()  # the final comma of a tuple of one item
        values = [_scalar_or_brackets(part) for part in parts]
        return tuple(values) if text[0] == "(" else values
    if text[:1] in ("{", "'", '"'):
        # Imported here, for dicts and quotes only: it is slow to import.
        import ast

        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError):
            if text[0] == "{":
                raise ValueError(
                    f"{text} must be a dict as Python writes it, with quotes around strings"
                ) from None
            return text
    return _scalar(text)


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    match = re.fullmatch(_NUMBER, text, re.IGNORECASE)
    if match is None:
        return text
    if any(match[part] for part in ("point", "only", "exponent", "special")):
        return float(text)
    return int(text)


def _split(text: str) -> list[str]:
    """Split a text at the commas outside of brackets and quotes."""
    parts, start, closers = [], 0, []
    for index, char in _unquoted(text):
        if char in _PAIRS:
            closers.append(_PAIRS[char])
        elif closers and char == closers[-1]:
            closers.pop()
        elif char in ")]}" and (closers or _is_bracketed(text)):
            raise ValueError(f"the brackets of {text} do not match")
        elif char == "," and not closers:
            parts.append(text[start:index].strip())
            start = index + 1
    if closers:
        raise ValueError(f"{text} is not closed; {closers[-1]} is missing")
    return [*parts, text[start:].strip()]


def _is_enclosed(text: str) -> bool:
    """Return whether the first bracket of a text is closed by its last character."""
    depth = 0
    for index, char in _unquoted(text):
        if char in _PAIRS:
            depth += 1
        elif char in ")]}":
            depth -= 1
            if not depth:
                return index == len(text) - 1
    return False


def _unquoted(text: str) -> Iterator[tuple[int, str]]:
    """Yield the position and value of each character outside of quotes.

    Raises:
        ValueError: The last quote is not closed; raised after the last character.
    """
    quote = ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and _opens_string(text, index):
            quote = char
        else:
            yield index, char
    if quote:
        raise ValueError(f"{text} is not closed; {quote} is missing")


def _opens_string(text: str, index: int) -> bool:
    # The apostrophe in "don't" does not open a string.
    before = text[:index].rstrip()
    return not before or before[-1] in "[({,:="


def _is_bracketed(text: str) -> bool:
    return text.lstrip()[:1] in ("[", "(", "{")
