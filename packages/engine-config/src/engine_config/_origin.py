"""`Origin`: what users are shown of where a value came from."""

from __future__ import annotations

import linecache
from dataclasses import dataclass

from engine_config._marks import Source


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The assignment that gave a value.

    Attributes:
        file: path of the file as it was asked for, or the name of a command-line option.
        line: line in the file, counted from 1; 0 for what is not in a file.
        text: that line of the file, stripped; for an option, the `key=value` that was given.

    Example:
        >>> origin = Origin(file="configs/a.py", line=3, text="lr = 0.1")
        >>> print(origin)
        configs/a.py:3
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else f"{self.file} {self.text}".rstrip()


def origin_at(source: Source, line: int) -> Origin:
    """Return the origin that a line of a source is."""
    if source.is_option:
        text = source.text
    else:
        text = source.line_text(line) or linecache.getline(source.file, line).strip()
    return Origin(file=source.file, line=line, text=text)
