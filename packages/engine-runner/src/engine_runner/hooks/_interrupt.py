"""Save a checkpoint when the process is asked to stop."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
from torch import Tensor

from engine_registry import HOOKS
from engine_runner._errors import CheckpointWriteError
from engine_runner._hook import Hook
from engine_runner._progress import Progress
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_runner.checkpoint import marked_at, save_now

_FILENAME = "interrupted.pth"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE_REQUEST = 1.0  # seconds in which several SIGTERM are one
_DEFAULT_HANDLERS = (signal.SIG_DFL, signal.default_int_handler)


@HOOKS.register_module()
class SaveOnInterrupt(Hook):
    """On the first SIGINT or SIGTERM, finish the iteration, save a checkpoint and stop.

    `Runner` registers it by default; ``default_hooks=dict(save_on_interrupt=None)`` leaves it out.
    SIGINT then raises ``KeyboardInterrupt``, SIGTERM exits with code 143. A second signal stops at
    once; several SIGTERM within a second count as one. During a validation it saves at once, unless
    a hook has exchanged the weights: then the validation is finished first.

    Signals keep their handlers outside of a training loop, in any thread but the main one, where
    the program has set a handler of its own, and with several processes, whose ranks would not
    agree on the iteration at which to save.

    Example:
        >>> SaveOnInterrupt().get_triggered_stages()[:2]
        ['before_train', 'before_train_iter']
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self._signal = 0
        self._process = os.getpid()
        self._arrived = 0.0
        self._started_at = 0
        self._saved_at = -1
        self._marked: int | None = None  # when the marker was written before the last save
        self._runner: Run | None = None  # while its state is that of a finished iteration
        self._weights: list[Tensor] | None = None  # sums of the weights, during a validation
        self._former: dict[int, Any] = {}
        self._children: Any = None

    @property
    def stops(self) -> bool:
        """Whether a signal has arrived, so that the run stops after the next save."""
        return bool(self._signal)

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Set the former handlers of the signals again, however the run ends."""
        # Anew for each run: a hook object may serve several runs, one after the other.
        self._signal, self._runner, self._weights, self._saved_at = 0, None, None, -1
        try:
            yield
            if self._signal:  # it arrived after the last iteration: all is saved
                self._stop()
        except (RuntimeError, OSError, EOFError) as error:
            # A scheduler may signal the whole process group, and so end the workers of the data
            # loader. The training or validation then fails at its next batch, with a RuntimeError
            # of the loader or an error of the connection to the worker.
            if isinstance(error, CheckpointWriteError):
                raise
            if self._signal:
                self._save_if_finished(runner)
            if self._signal and self._weights is not None:
                runner.logger.warning(
                    "stopped in a validation for which a hook has exchanged the weights; nothing "
                    "was saved, and --resume continues from the last checkpoint"
                )
                self._stop()
            raise
        finally:
            for number, handler in self._former.items():
                signal.signal(number, handler)
            if self._children is not None and self._signal:
                signal.signal(signal.SIGCHLD, self._children)
            self._former, self._children = {}, None

    def before_train(self, runner: Run) -> None:
        """Handle the signals from now on.

        Before, and in a validation or test alone, there is nothing to save: signals stop at once.
        """
        if runner.world_size > 1 or threading.current_thread() is not threading.main_thread():
            return
        self._started_at = runner.iter
        self._children = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
        former = {number: signal.getsignal(number) for number in _SIGNALS}
        for number, handler in former.items():
            if handler in _DEFAULT_HANDLERS:
                self._former[number] = handler
                signal.signal(number, self._note)

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Store the iteration of a checkpoint that ``last_checkpoint`` names when it is written."""
        if "optimizer" in checkpoint and self._weights is None:  # else it is the best one
            self._saved_at = checkpoint["progress"]["iter"]
            self._marked = marked_at(runner.work_dir)

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Mark the state as that of an unfinished iteration."""
        # Weights and optimizer change one after the other within the step.
        self._runner = None

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save and stop if a signal has arrived."""
        self._runner = runner
        if self._signal:
            self._save_and_stop(runner, runner.progress.advanced(iterations=1))

    def before_val(self, runner: Run) -> None:
        """Mark the state as unfinished: hooks may change the model for a validation."""
        self._runner = None
        if self._former:
            self._weights = _sums(runner)

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save and stop if a signal has arrived; the resumed run repeats the validation."""
        if self._signal:
            self._save_if_finished(runner)

    def after_val(self, runner: Run) -> None:
        """Mark the state as finished again; save and stop if a signal has arrived."""
        if self._weights is None:
            return  # ``runner.val()``
        self._runner, self._weights = runner, None
        if self._signal:
            done = runner.epoch if runner.trains_by_epoch else runner.iter
            self._save_and_stop(runner, replace(runner.progress, validated=done))

    def _save_if_finished(self, runner: Run) -> None:
        """Stop, after saving what is not saved; return if the state is not a finished iteration."""
        reason = signal.Signals(self._signal).name
        if self._runner is not None:
            self._save_and_stop(runner, runner.progress)
        if runner.iter == self._started_at:
            runner.logger.warning(f"stopped by {reason} before the first iteration ended")
            self._stop()
        if self._weights is None:
            return  # within an iteration
        if self._saved_at == runner.iter and marked_at(runner.work_dir) != self._marked:
            runner.logger.warning(
                f"stopped by {reason} while validating; --resume continues from the last "
                "checkpoint, with this validation"
            )
            self._stop()
        # A hook may have exchanged the weights for those of an average.
        if all(map(torch.equal, self._weights, _sums(runner))):
            self._save_and_stop(runner, runner.progress)

    def _save_and_stop(self, runner: Run, reached: Progress) -> None:
        path = save_now(runner, _FILENAME, reached)
        runner.logger.warning(
            f"stopped by {signal.Signals(self._signal).name} after iteration {reached.iter}; "
            f"saved {Path(path).name}, from which --resume continues"
        )
        self._stop()

    def _stop(self) -> NoReturn:
        # As without this hook: a notebook or script may handle Ctrl-C by itself.
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self._signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a forked worker: the main process ends it
        now = time.monotonic()
        if self._signal:
            # ``timeout`` and schedulers send SIGTERM to the process, and then to its group.
            if number == signal.SIGTERM and now - self._arrived < _ONE_REQUEST:
                return
            raise KeyboardInterrupt
        self._signal, self._arrived = number, now
        if hasattr(signal, "SIGCHLD"):
            # torch's handler raises when a worker was ended by the same signal, mid-iteration.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # os.write, as a signal may arrive while this thread holds the lock of sys.stderr.
        os.write(2, b"finishing this iteration, then saving; once more to stop at once\n")


def _sums(runner: Run) -> list[Tensor]:
    """Return the sum of each weight, on its device: no copy, and no wait for the device."""
    tensors = [*runner.model.parameters(), *runner.model.buffers()]
    return [item.detach().sum(dtype=torch.float32) for item in tensors if item.is_floating_point()]
