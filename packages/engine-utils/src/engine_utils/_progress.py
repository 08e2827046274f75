"""Show the progress of tasks on a terminal, in a notebook or in a file."""

import importlib
import io
import sys
import time
from typing import Any, Protocol, TextIO

from engine_utils._notebook import notebook_shell

# The maximum number of lines in a file or pipe, where a line cannot be overwritten.
_LINES = 20


class _Display(Protocol):
    def update(self, n: int) -> Any: ...
    def close(self) -> Any: ...


class _Lines:
    """Write progress as lines of text, for files, pipes and terminals without tqdm."""

    def __init__(self, total: int, file: TextIO) -> None:
        self._total, self._file = total, file
        self._done = 0
        self._step = max(total // _LINES, 1)
        self._next = self._step
        self._started = time.perf_counter()

    def update(self, n: int) -> None:
        self._done += n
        if self._done >= self._next or self._done == self._total:
            self._next = self._done + self._step
            self._file.write(self._line() + "\n")
            self._file.flush()

    def _line(self) -> str:
        elapsed = time.perf_counter() - self._started
        # Some systems have a coarse clock: the elapsed time of the first tasks may be 0.
        speed = self._done / elapsed if elapsed > 0 else float("inf")
        if not self._total:
            return f"completed: {self._done}, elapsed: {elapsed:.0f}s, {speed:.1f} tasks/s"
        left = max(self._total - self._done, 0) / speed
        line = f"[{self._done}/{self._total}] {speed:.1f} tasks/s, elapsed: {elapsed:.0f}s"
        return f"{line}, ETA: {left:.0f}s"

    def close(self) -> None:
        self._file.flush()


class ProgressBar:
    """Show how many tasks are done, their speed, and the remaining time.

    A terminal or notebook shows a bar of tqdm (``pip install "engine-utils[progress]"``). Without
    tqdm, and in a file or pipe, at most 20 lines are written.

    Args:
        task_num: The number of tasks; 0 if it is unknown.
        bar_width: The maximum width of the bar, in characters.
        start: Start at once, without a call of ``start``.
        file: The output; by default the standard output.

    Example:
        >>> bar = ProgressBar(2)
        >>> bar.update()
        [1/2] ... tasks/s, elapsed: 0s, ETA: 0s
        >>> bar.update()
        [2/2] ... tasks/s, elapsed: 0s, ETA: 0s
    """

    def __init__(
        self,
        task_num: int = 0,
        bar_width: int = 50,
        start: bool = True,
        file: TextIO | None = None,
    ) -> None:
        self.task_num = task_num
        self.bar_width = bar_width
        self.completed = 0
        # A program may run without a standard output, such as a service.
        self.file: TextIO = file or sys.stdout or io.StringIO()
        self._display: _Display | None = None
        if start:
            self.start()

    @property
    def terminal_width(self) -> int:
        """The width of the terminal, in characters."""
        import shutil  # slow to import, and only a bar on a terminal needs it

        return shutil.get_terminal_size().columns

    def start(self) -> None:
        """Show the bar, and start to measure the time."""
        self.close()
        self.completed = 0
        self._shown()

    def _tqdm(self) -> _Display | None:
        notebook = notebook_shell() is not None
        if not notebook and not self.file.isatty():
            return None
        # About 50 characters are needed for the numbers beside the bar.
        width = max(min(self.bar_width, self.terminal_width - 50), 5)
        try:
            tqdm = importlib.import_module("tqdm.auto" if notebook else "tqdm").tqdm
            display: _Display = tqdm(
                total=self.task_num or None,
                file=None if notebook else self.file,
                unit="task",
                bar_format=None if notebook else f"{{l_bar}}{{bar:{width}}}{{r_bar}}",
            )
        except ImportError:  # also raised in a notebook without ipywidgets
            return None
        return display

    def update(self, num_tasks: int = 1) -> None:
        """Count tasks as done.

        Args:
            num_tasks: The number of tasks.

        Raises:
            ValueError: It is less than 1.
        """
        if num_tasks < 1:
            raise ValueError(f"num_tasks must be >= 1, got {num_tasks}")
        finished = 0 < self.task_num <= self.completed
        self.completed += num_tasks
        if finished:
            return  # more tasks than task_num: the bar is full and closed already
        self._shown().update(num_tasks)
        if 0 < self.task_num <= self.completed:
            self.close()

    def _shown(self) -> _Display:
        if self._display is None:
            self._display = self._tqdm() or _Lines(self.task_num, self.file)
        return self._display

    def close(self) -> None:
        """Close the bar and end its line; this happens automatically after the last task."""
        if self._display is not None:
            self._display.close()
            self._display = None
