"""Show a bar on a terminal, below the lines of the log."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs

if TYPE_CHECKING:
    from rich.progress import Progress


@HOOKS.register_module()
class ProgressBar(Hook):
    """Show the progress of a training on a terminal; log lines appear above the bar.

    `Runner` registers it by default; ``default_hooks=dict(progress_bar=None)`` leaves it out. It
    shows nothing where output does not go to a terminal, and on all ranks but the main one.

    Example:
        >>> ProgressBar().get_triggered_stages()
        ['before_train', 'before_train_epoch', 'after_train_iter', 'before_val']
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self._progress: Progress | None = None

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Give the terminal its cursor back, however the run ends."""
        try:
            yield
        finally:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def before_train(self, runner: Run) -> None:
        """Start the bar; further output appears above it."""
        if not (runner.is_main and _is_terminal()):
            return
        self._progress = _bar()
        self._progress.start()
        total = runner.max_iters if math.isfinite(runner.max_iters) else None
        self._task = self._progress.add_task("training", total=total, completed=runner.iter)

    def before_train_epoch(self, runner: Run) -> None:
        """Name the epoch."""
        if self._progress is not None and runner.trains_by_epoch:
            text = f"epoch {runner.epoch + 1}/{runner.max_epochs}"
            self._progress.update(self._task, description=text)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Advance by an iteration."""
        if self._progress is not None:
            self._progress.advance(self._task)

    def before_val(self, runner: Run) -> None:
        """Show that the run is validating."""
        if self._progress is not None:
            self._progress.update(self._task, description="validating")


def _is_terminal() -> bool:
    """Return whether output goes to a terminal that can redraw a line."""
    return sys.stdout.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def _bar() -> "Progress":
    # rich takes a tenth of a second to import, and only a terminal needs it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(soft_wrap=True),  # log lines keep their length
        transient=True,
    )
