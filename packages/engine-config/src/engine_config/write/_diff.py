"""Compare the texts of two configs."""

from __future__ import annotations

import difflib
from typing import Protocol


class HasText(Protocol):
    """The properties of `Config` that are compared."""

    @property
    def pretty_text(self) -> str:
        """The text."""

    @property
    def filename(self) -> str | None:
        """The name of the text."""


def text_diff(first: HasText, second: HasText) -> str:
    """Return the unified diff of the texts of two configs; empty if they are equal."""
    lines = difflib.unified_diff(
        first.pretty_text.splitlines(),
        second.pretty_text.splitlines(),
        fromfile=first.filename or "cfg1",
        tofile=second.filename or "cfg2",
        lineterm="",
    )
    return "\n".join(lines)
