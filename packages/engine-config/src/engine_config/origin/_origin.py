"""`Origin`: the assignment that set a value, as it is shown to users."""

from __future__ import annotations

import linecache
from dataclasses import dataclass

from engine_config._marks import Mark


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The assignment that set a value.

    Attributes:
        file: The path of the file as it was passed, or the name of a command-line option.
        line: The line in the file, counted from 1; 0 for a value that is not in a file.
        text: The text of that line, stripped; for an option, the ``key=value`` that was given.

    Example:
        >>> from engine_config import Config
        >>> cfg = Config.fromstring("lr = 0.1", ".py")
        >>> print(cfg.origin("lr"))
        <string>:1
        >>> cfg.merge_from_dict({"lr": 0.2}, origin="--cfg-options")
        >>> print(cfg.origin("lr"))
        --cfg-options lr=0.2
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else f"{self.file} {self.text}".rstrip()


def origin_at(mark: Mark) -> Origin:
    """Return the origin for a mark."""
    source, line = mark.source, mark.line
    if source.is_option:
        text = source.text
    else:
        # For a line of the program, read its file now, if it still exists.
        text = source.line_text(line) or linecache.getline(source.file, line).strip()
    return Origin(file=source.file, line=line, text=text)
