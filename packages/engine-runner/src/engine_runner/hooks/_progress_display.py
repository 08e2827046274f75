"""Where a progress bar is drawn: on a terminal, in a notebook, or nowhere."""

import os
import sys
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from engine_utils import notebook_shell

_BAR_WIDTH = 30
_LEAST_BAR_WIDTH = 5
_NOTEBOOK_WIDTH = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class BarLine:
    """What a bar shows.

    Attributes:
        title: What advances, such as ``epoch 2/10``.
        done: Finished iterations.
        total: All iterations; None if that is unknown, and then there is no bar.
        facts: Further texts; the last ones are left out where the line is too short.
    """

    title: str
    done: int
    total: int | None = None
    facts: tuple[str, ...] = ()

    def text(self, width: int, marks: str = "█░") -> str:
        """Return the line for a width in characters.

        Args:
            width: The maximum number of characters.
            marks: The characters of the finished and of the open part of the bar.

        Example:
            >>> BarLine(title="epoch 1/2", done=5, total=10, facts=("loss 0.5",)).text(50, "#.")
            'epoch 1/2 ###########........... 5/10  loss 0.5'
        """
        count = (
            f"{self.done:>{len(str(self.total))}}/{self.total}" if self.total else str(self.done)
        )
        facts = list(self.facts)
        least = _LEAST_BAR_WIDTH + 1 if self.total else 0
        while facts and len("  ".join([f"{self.title} {count}", *facts])) + least > width:
            facts.pop()
        rest = "  ".join([count, *facts])
        room = min(_BAR_WIDTH, width - len(self.title) - len(rest) - 2)
        if not self.total or room < _LEAST_BAR_WIDTH:
            return f"{self.title} {rest}"[:width]
        full = min(room, room * self.done // self.total)
        return f"{self.title} {marks[0] * full}{marks[1] * (room - full)} {rest}"


class Display(Protocol):
    """A place where one line is drawn again and again."""

    @property
    def interval(self) -> float:
        """The least number of seconds from one drawing to the next."""

    def draw(self, line: BarLine) -> None:
        """Replace the line."""

    def close(self) -> None:
        """Release the place."""


def open_display() -> Display | None:
    """Return the display of this process, or None where a line cannot be drawn again."""
    shell = notebook_shell()
    if shell is not None:
        return _Notebook(shell)
    return _Terminal() if _is_terminal() else None


class _Terminal:
    """The last line of a terminal; other output appears above it. Nothing is left at the end."""

    interval = 0.1

    def __init__(self) -> None:
        # rich takes a tenth of a second to import, and only a terminal needs it.
        from rich.console import Console
        from rich.live import Live

        self._console = Console(soft_wrap=True)  # log lines keep their length
        # Without a thread of rich: a process that is forked while the thread holds a lock, such as
        # a worker of a data loader, would wait for it forever.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def draw(self, line: BarLine) -> None:
        from rich.text import Text

        marks = "#." if self._console.options.ascii_only else "█░"
        text = line.text(self._console.width - 1, marks)
        self._live.update(Text(text, no_wrap=True, overflow="crop"), refresh=True)

    def close(self) -> None:
        self._live.stop()


class _Notebook:
    """An output of a notebook's cell, which keeps the last line.

    It needs no widgets, which notebooks on other servers often lack.

    Args:
        shell: The shell of IPython, which sends outputs to the notebook.
    """

    interval = 0.5

    def __init__(self, shell: Any) -> None:
        self._publish = shell.display_pub.publish
        self._name = {"display_id": uuid4().hex}  # later outputs of one name replace the first
        self._is_there = False

    def draw(self, line: BarLine) -> None:
        data = {"text/plain": line.text(_NOTEBOOK_WIDTH)}
        self._publish(data, metadata={}, transient=self._name, update=self._is_there)
        self._is_there = True

    def close(self) -> None:
        pass


def _is_terminal() -> bool:
    """Return whether output goes to a terminal that a person watches and that can redraw a line."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return not is_dumb and os.environ.get("CI", "").lower() in ("", "0", "false")
