"""A bar on a terminal, beside the lines of the log."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine_runner._types import Batch, Outputs
from engine_runner.hooks import Hook

if TYPE_CHECKING:
    from engine_runner.runner import Runner


def shows_progress() -> bool:
    """Return whether output goes to a terminal that can redraw a line."""
    return sys.stdout.isatty() and not Console().is_dumb_terminal


class ProgressBar(Hook):
    """Show how far the training is; log lines appear above the bar."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(soft_wrap=True),  # log lines keep their length
            transient=True,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()  # whatever ended the training, the terminal has its cursor back

    def before_train(self, runner: "Runner") -> None:
        """Start the bar; what is printed from now on appears above it."""
        self._progress.start()
        self._task = self._progress.add_task(
            "training", total=runner.max_iters, completed=runner.iter
        )

    def before_train_epoch(self, runner: "Runner") -> None:
        """Name the epoch."""
        if runner.trains_by_epoch:
            text = f"epoch {runner.epoch + 1}/{runner.max_epochs}"
            self._progress.update(self._task, description=text)

    def after_train_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Advance by an iteration."""
        self._progress.advance(self._task)

    def before_val(self, runner: "Runner") -> None:
        """Say that it is validating."""
        self._progress.update(self._task, description="validating")
