"""Ctrl-C and a scheduler's SIGTERM: save first, then stop."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import click

from engine_runner._progress import Progress
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

    A scheduler may send its signal to the whole process group, and so end the workers of the data
    loaders as well. That does not interrupt the iteration; if it leaves the training without its
    next batch, what the last iteration reached is saved.
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self._signal = 0
        self._former: dict[int, Any] = {}
        self._process = os.getpid()
        self._runner: Runner | None = None  # while its state is that of a finished iteration
        self._saved_at = -1

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
        if self._signal and self._runner is not None and isinstance(error, RuntimeError):
            self._save_and_exit(self._runner, self._runner.progress)

    def before_train(self, runner: "Runner") -> None:
        """Leave the signals alone if there are several processes."""
        if runner.world_size > 1:
            self._restore()

    def before_save_checkpoint(self, runner: "Runner", checkpoint: dict[str, Any]) -> None:
        """Note which iteration a run can be resumed from; the best checkpoint has no optimizer."""
        if "optimizer" in checkpoint:
            self._saved_at = checkpoint["progress"]["iter"]

    def before_train_iter(self, runner: "Runner", batch_idx: int, data_batch: Batch = None) -> None:
        """Note that an iteration is in the works."""
        self._runner = None

    def after_train_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save and exit if a signal has come."""
        self._runner = runner
        if self._signal:
            self._save_and_exit(runner, runner.progress.advanced(iterations=1))

    def before_val(self, runner: "Runner") -> None:
        """Note that hooks may change the model for the time of a validation."""
        self._runner = None

    def after_val_iter(
        self, runner: "Runner", batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Exit if a signal has come and there is a checkpoint of all that was trained.

        The resumed run makes up for the validation.
        """
        if self._signal and self._saved_at == runner.iter:
            runner.logger.warning(
                f"stopped by {signal.Signals(self._signal).name} while validating; --resume "
                "continues from the last checkpoint, with this validation"
            )
            sys.exit(128 + self._signal)

    def _save_and_exit(self, runner: "Runner", reached: Progress) -> None:
        path = runner.save_checkpoint(runner.work_dir, _FILENAME, progress=reached)
        mark_latest_checkpoint(runner.work_dir, path)
        runner.logger.warning(
            f"stopped by {signal.Signals(self._signal).name} after iteration {reached.iter}; "
            f"saved {Path(path).name}, from which --resume continues"
        )
        sys.exit(128 + self._signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a forked worker: the main process ends it
        if self._signal:
            raise KeyboardInterrupt
        self._signal = number
        if hasattr(signal, "SIGCHLD"):  # torch raises there when a worker is ended, mid-iteration
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        click.echo("finishing this iteration, then saving; once more to stop at once", err=True)

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()
