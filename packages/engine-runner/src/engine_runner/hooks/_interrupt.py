"""Save a checkpoint when the process is asked to stop."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._progress import Progress
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_runner.checkpoint import mark_latest_checkpoint

_FILENAME = "interrupted.pth"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_DEFAULT_HANDLERS = (signal.SIG_DFL, signal.default_int_handler)


@HOOKS.register_module()
class SaveOnInterrupt(Hook):
    """On the first SIGINT or SIGTERM, finish the iteration, save a checkpoint and stop.

    `Runner` registers it by default; ``default_hooks=dict(save_on_interrupt=None)`` leaves it out.
    SIGINT then raises ``KeyboardInterrupt``, SIGTERM exits with code 143. A second signal stops at
    once.

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
        self._runner: Run | None = None  # while its state is that of a finished iteration
        self._saved_at = -1
        self._former: dict[int, Any] = {}
        self._children: Any = None

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Set the former handlers of the signals again, however the run ends."""
        # Anew for each run: a hook object may serve several runs, one after the other.
        self._signal, self._runner, self._saved_at = 0, None, -1
        try:
            yield
            if self._signal:  # it arrived after the last iteration: all is saved
                self._stop()
        except RuntimeError:
            # A scheduler may signal the whole process group, and so end the workers of the data
            # loader. The training then fails at its next batch: save the last iteration.
            if self._signal and self._runner is not None:
                self._save_and_stop(self._runner, self._runner.progress)
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
        self._children = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
        former = {number: signal.getsignal(number) for number in _SIGNALS}
        for number, handler in former.items():
            if handler in _DEFAULT_HANDLERS:
                self._former[number] = handler
                signal.signal(number, self._note)

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Store the iteration of a checkpoint to resume from; the best one has no optimizer."""
        if "optimizer" in checkpoint:
            self._saved_at = checkpoint["progress"]["iter"]

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

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Stop if a signal has arrived and the last checkpoint has all that was trained.

        The resumed run repeats the validation.
        """
        if self._signal and self._saved_at == runner.iter:
            runner.logger.warning(
                f"stopped by {signal.Signals(self._signal).name} while validating; --resume "
                "continues from the last checkpoint, with this validation"
            )
            self._stop()

    def _save_and_stop(self, runner: Run, reached: Progress) -> None:
        path = runner.save_checkpoint(runner.work_dir, _FILENAME, progress=reached)
        mark_latest_checkpoint(runner.work_dir, path)
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
        if self._signal:
            raise KeyboardInterrupt
        self._signal = number
        if hasattr(signal, "SIGCHLD"):
            # torch's handler raises when a worker was ended by the same signal, mid-iteration.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # os.write, as a signal may arrive while this thread holds the lock of sys.stderr.
        os.write(2, b"finishing this iteration, then saving; once more to stop at once\n")
