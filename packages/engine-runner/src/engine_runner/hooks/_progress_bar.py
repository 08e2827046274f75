"""Show a bar in a terminal or notebook, beside the lines of the log."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from typing import Any

from engine_registry import HOOKS
from engine_runner._batch_size import batch_size_of
from engine_runner._hook import Hook
from engine_runner._loaders import length_of
from engine_runner._protocols import Run
from engine_runner._types import Batch, Metrics, Outputs
from engine_runner.hooks._progress_display import BarLine, Display, open_display


@HOOKS.register_module()
class ProgressBar(Hook):
    """Show the progress of a training, validation or test; log lines appear above the bar.

    The bar shows epoch, iteration, loss, the first metric of the last validation, samples per
    second, and, where the line has room, the time that is left. Loss and speed are those of the
    last log line: nothing is read from the device for the bar. It is drawn at most ten times per
    second.

    `Runner` registers it by default; ``default_hooks=dict(progress_bar=None)`` leaves it out. It
    shows nothing where output goes to a file or pipe, to a terminal that cannot redraw a line, or
    to the log of a server (the environment variable ``CI``), and on all ranks but the main one.

    Example:
        >>> ProgressBar().get_triggered_stages()[:3]
        ['before_train', 'before_train_epoch', 'after_train_iter']
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self._display: Display | None = None
        self._due = math.inf
        self._title = ""
        self._total: int | None = None
        self._trains = False
        self._evaluates = False
        self._begin = 0.0
        self._loss = self._speed = self._metric = ""

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Give the terminal its cursor back, however the run ends."""
        try:
            yield
        finally:
            self._due = math.inf
            display, self._display = self._display, None
            if display is not None:
                display.close()

    def before_train(self, runner: Run) -> None:
        """Start the bar of a training."""
        self._trains = True
        self._loss = self._speed = self._metric = ""
        if self._open(runner):
            self._show_training(runner, runner.iter)

    def before_train_epoch(self, runner: Run) -> None:
        """Show the epoch."""
        if self._display is not None:
            self._show_training(runner, runner.iter)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Advance the bar, if it is due."""
        if perf_counter() >= self._due:
            self._draw(runner, runner.iter + 1)

    def after_log(self, runner: Run) -> None:
        """Take loss and speed from the numbers that a log line has read."""
        if self._display is None:
            return
        scalars = runner.message_hub.log_scalars
        losses = [name for name in scalars if name.startswith("train/") and "loss" in name]
        if losses:
            name = "train/loss" if "train/loss" in losses else losses[0]
            window = getattr(runner.log_processor, "window_size", 10)
            self._loss = f"{name.removeprefix('train/')} {scalars[name].mean(window):.4f}"
        if "train/time" in scalars:
            size = batch_size_of(runner.train_dataloader)
            seconds = scalars["train/time"].mean(10)
            self._speed = _speed(size and size * runner.world_size, seconds)

    def before_val(self, runner: Run) -> None:
        """Show that the run is validating."""
        if self._open(runner):
            self._show_evaluation(runner, "validating", "val")

    def before_val_set(self, runner: Run, name: str) -> None:
        """Show which of several sets is validated."""
        self._show_evaluation(runner, f"validating {name}", "val")

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Advance the bar, if it is due."""
        if perf_counter() >= self._due:
            self._draw(runner, batch_idx + 1)

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Take the first metric that is a number; the log line of the validation has read it."""
        for name in metrics or ():
            buffer = runner.message_hub.log_scalars.get(f"val/{name}")
            if buffer is not None and self._display is not None:
                self._metric = f"{name} {buffer.current():.4f}"
                return

    def after_val(self, runner: Run) -> None:
        """Show the training again."""
        if self._display is not None and self._trains:
            self._show_training(runner, runner.iter)

    def before_test(self, runner: Run) -> None:
        """Start the bar of a test."""
        if self._open(runner):
            self._show_evaluation(runner, "testing", "test")

    def before_test_set(self, runner: Run, name: str) -> None:
        """Show which of several sets is tested."""
        self._show_evaluation(runner, f"testing {name}", "test")

    def after_test_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Advance the bar, if it is due."""
        if perf_counter() >= self._due:
            self._draw(runner, batch_idx + 1)

    def after_train(self, runner: Run) -> None:
        """Show the end of the training."""
        if self._display is not None:
            self._show_training(runner, runner.iter)
        self._trains = False

    def _open(self, runner: Run) -> bool:
        """Open the display if there is none yet, and return whether there is one."""
        if self._display is None and runner.is_main:
            self._display = open_display()
        return self._display is not None

    def _show_training(self, runner: Run, done: int) -> None:
        self._title, self._evaluates = "training", False
        if runner.trains_by_epoch:
            epoch = min(runner.epoch + 1, runner.max_epochs)
            self._title = f"epoch {epoch}/{runner.max_epochs}"
        self._total = int(runner.max_iters) if math.isfinite(runner.max_iters) else None
        self._draw(runner, done)

    def _show_evaluation(self, runner: Run, title: str, mode: str) -> None:
        self._title, self._evaluates, self._begin = title, True, perf_counter()
        loop: Any = getattr(runner, f"{mode}_loop")
        self._total = length_of(getattr(loop, "current_dataloader", loop.dataloader))
        self._draw(runner, 0)

    def _draw(self, runner: Run, done: int) -> None:
        if self._display is None:
            return
        if self._evaluates:
            facts = [self._left_of_evaluation(done)]
        else:
            eta = runner.message_hub.get_info("eta", math.inf)
            # The last ones fall off a line of 80 characters, and log lines have the eta.
            facts = [self._loss, self._metric, self._speed, _left(eta)]
        shown = tuple(fact for fact in facts if fact)
        self._display.draw(BarLine(title=self._title, done=done, total=self._total, facts=shown))
        self._due = perf_counter() + self._display.interval

    def _left_of_evaluation(self, done: int) -> str:
        if not done or self._total is None:
            return ""
        return _left((perf_counter() - self._begin) / done * (self._total - done))


def _left(seconds: float) -> str:
    return f"eta {timedelta(seconds=int(seconds))}" if 0 <= seconds < math.inf else ""


def _speed(samples: int | None, seconds: float) -> str:
    """Return samples per second, or iterations per second where batches have no size."""
    if seconds <= 0:
        return ""
    rate = (samples or 1) / seconds
    number = (
        f"{rate / 1000:.1f}k" if rate >= 10_000 else f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"
    )
    return f"{number} {'samples' if samples else 'iterations'}/s"
