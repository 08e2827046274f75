"""Ctrl-C and a scheduler's SIGTERM: save first, then stop."""

import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import click

from engine_runner._types import Batch, Outputs
from engine_runner.checkpoint import mark_latest_checkpoint
from engine_runner.hooks import Hook

if TYPE_CHECKING:
    from engine_runner.runner import Runner

_FILENAME = "interrupted.pth"


class SaveOnInterrupt(Hook):
    """On the first SIGINT or SIGTERM, finish the iteration, save a checkpoint and exit.

    A second signal stops at once. With several processes the signals keep their usual meaning:
    the ranks would not agree on the iteration at which to save.
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self._signal = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "SaveOnInterrupt":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def before_train(self, runner: "Runner") -> None:
        """Leave the signals alone if there are several processes."""
        if runner.world_size > 1:
            self._restore()

    def after_train_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save and exit if a signal has come."""
        if not self._signal:
            return
        path = runner.save_checkpoint(runner.work_dir, _FILENAME, by_epoch=False)
        mark_latest_checkpoint(runner.work_dir, path)
        runner.logger.warning(
            f"stopped by {signal.Signals(self._signal).name} after iteration {runner.iter + 1}; "
            f"saved {Path(path).name}, from which --resume continues"
        )
        sys.exit(128 + self._signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            raise KeyboardInterrupt
        self._signal = number
        click.echo("finishing this iteration, then saving; once more to stop at once", err=True)

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()
