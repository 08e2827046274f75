"""Save a checkpoint when the process is asked to stop."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import torch
from torch import Tensor

from engine_dist import (
    StopAgreement,
    all_gather_object,
    barrier,
    broadcast_object_list,
    on_launcher_lost,
)
from engine_registry import HOOKS
from engine_runner._errors import CheckpointWriteError
from engine_runner._hook import Hook
from engine_runner._progress import Progress
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_runner.checkpoint import marked_at, save_now
from engine_runner.environment import (
    StopSignals,
    drop_output_without_reader,
    outlive_signals,
    restore_workers,
    signal_number,
)

_FILENAME = "interrupted.pth"


@HOOKS.register_module()
class SaveOnInterrupt(Hook):
    """On SIGINT, SIGTERM or SIGHUP, finish the iteration, save a checkpoint and stop.

    `Runner` registers it by default; ``default_hooks=dict(save_on_interrupt=None)`` leaves it out.
    The process then ends with 128 and the number of the signal: SIGTERM with 143, SIGHUP with 129.
    SIGINT raises ``KeyboardInterrupt``, which ends a script with 130. If the checkpoint cannot be
    saved, as on a full disk, an error is logged, and the end is the same. A second signal stops at
    once; several within a second count as one, except Ctrl-C. During a validation it saves at once,
    unless a hook has exchanged the weights: then the validation is finished first.

    With several processes, a signal to any of them stops all of them after the same iteration:
    they agree on it through the store of the process group, in a thread. If a process fails, or its
    launcher is killed, the others end within seconds.

    The workers of data loaders outlive the signals. A signal that the process ignores (``nohup``)
    stays ignored. A handler that the program has set is called after the checkpoint is saved.
    Outside of a training loop, and in any thread but the main one, signals keep their handlers.

    Args:
        signals: The names of the signals that stop the training. Add ``"SIGUSR1"`` for
            ``sbatch --signal=USR1@90``.

    Raises:
        SettingsError: A name is not that of a signal that a process can handle.

    Example:
        >>> hook = SaveOnInterrupt(signals=["SIGTERM", "SIGUSR1"])
        >>> hook.signals, hook.stops
        (('SIGTERM', 'SIGUSR1'), False)
    """

    priority = "LOWEST"

    def __init__(self, signals: Sequence[str] = ("SIGINT", "SIGTERM", "SIGHUP")) -> None:
        self.signals = (signals,) if isinstance(signals, str) else tuple(signals)
        for name in self.signals:
            signal_number(name)
        self._reset()

    def _reset(self) -> None:
        # Anew for each run: a hook object may serve several runs, one after the other.
        self._number = 0  # of the signal for which the run stops
        self._stopped = False
        self._steps = 0
        self._started_at = 0
        self._saved_at = -1
        self._marked: int | None = None  # when the marker was written before the last save
        self._runner: Run | None = None  # while its state is that of a finished iteration
        self._weights: list[Tensor] | None = None  # sums of the weights, during a validation
        self._finishes_validation = False
        self._agreement: StopAgreement | None = None
        self._taken: StopSignals | None = None
        self._loaders: list[Any] = []

    @property
    def stops(self) -> bool:
        """Whether a signal has arrived, so that the run stops after the next save."""
        return bool(self._number)

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Let the ranks stop and fail together, and restore the handlers however the run ends."""
        self._reset()
        key = [uuid4().hex]
        broadcast_object_list(key)
        self._agreement = agreement = StopAgreement(key[0])
        by_hand = runner.world_size == 1  # launchers repeat the Ctrl-C of a terminal
        self._taken = StopSignals(self.signals, agreement.request, repeats=by_hand)
        try:
            with on_launcher_lost(self._stop_without_launcher):
                yield
            # After the last iteration all is saved, but all ranks must end alike.
            if asked := next(filter(None, all_gather_object(self._asked())), 0):
                self._number = asked
                self._stop()
        except (RuntimeError, OSError, EOFError) as error:
            self._save_after_failure(runner, error)
            if (cause := agreement.fail(error)) is not None:
                raise cause from error
            raise
        except BaseException as error:
            if not self._stopped:
                agreement.fail(error)
            raise
        finally:
            agreement.close()
            self._taken.restore()
            restore_workers(self._loaders)

    def _save_after_failure(self, runner: Run, error: Exception) -> None:
        """Save and stop if a signal has ended the workers of a loader, and so the run.

        Such a run fails at its next batch, with a RuntimeError of the loader or an error of the
        connection to the worker.
        """
        if runner.world_size > 1 or isinstance(error, CheckpointWriteError):
            return
        self._number = self._asked()
        if self._number:
            self._save_if_finished(runner)
        if self._number and self._weights is not None:
            runner.logger.warning(
                "stopped in a validation for which a hook has exchanged the weights; nothing "
                "was saved, and --resume continues from the last checkpoint"
            )
            self._stop()

    def before_train(self, runner: Run) -> None:
        """Handle the signals from now on.

        Before, and in a validation or test alone, there is nothing to save: signals stop at once.
        """
        self._started_at = runner.iter
        if self._taken is None:
            return
        self._loaders += outlive_signals(runner.train_loop, runner.val_loop)
        if self._taken.is_installed:  # the training begins again after a rollback
            return
        if threading.current_thread() is threading.main_thread():
            self._taken.install()
        else:
            runner.logger.info(
                "signals do not save a checkpoint, as the training is not in the main thread"
            )

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
        self._steps += 1  # unlike ``runner.iter``, which a hook may set back
        if self._stops_at(self._steps):
            self._save_and_stop(runner, runner.progress.advanced(iterations=1))

    def before_val(self, runner: Run) -> None:
        """Mark the state as unfinished: hooks may change the model for a validation."""
        self._runner, self._finishes_validation = None, False
        if runner.unfinished:  # a hook validates, which is finished first
            return
        if self._taken is not None and (self._taken.is_installed or runner.world_size > 1):
            self._weights = _sums(runner)

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save and stop if a signal has arrived; the resumed run repeats the validation."""
        if self._weights is None or self._finishes_validation:
            return
        place = _place_in_validation(runner, batch_idx)
        if place is not None and self._stops_at(self._steps, 1, *place):
            self._save_if_finished(runner)
            self._finishes_validation = True

    def after_val(self, runner: Run) -> None:
        """Mark the state as finished again; save and stop if a signal has arrived."""
        if self._weights is None:
            return  # ``runner.val()``
        self._runner, self._weights = runner, None
        if self._stops_at(self._steps, 2):
            done = runner.epoch if runner.trains_by_epoch else runner.iter
            self._save_and_stop(runner, replace(runner.progress, validated=done))

    def _asked(self) -> int:
        """Return the number of a signal that has arrived here, or that another rank reported."""
        if self._taken is None or self._agreement is None:
            return 0
        return self._taken.number or self._agreement.number

    def _stops_at(self, *position: float) -> bool:
        """Return whether the run stops here, as all ranks do."""
        agreement = self._agreement
        if agreement is None:
            return False
        if agreement.stops_at(position):
            self._number = agreement.number
        elif agreement.is_alone:
            # The handler of the signal runs in this thread; the agreement learns of it by another.
            self._number = self._asked()
        return bool(self._number)

    def _stop_without_launcher(self) -> bool:
        """Ask all ranks to stop, as the launcher was killed; return whether they can agree."""
        if self._agreement is None:
            return False
        self._agreement.request(signal.SIGTERM)
        return self._agreement.can_agree()

    def _save_if_finished(self, runner: Run) -> None:
        """Stop, after saving what is not saved; return if the state is not a finished iteration."""
        reason = signal.Signals(self._number).name
        if self._runner is not None:
            self._save_and_stop(runner, runner.progress)
        if runner.iter == self._started_at:
            runner.logger.warning(f"stopped by {reason} before the first iteration ended")
            self._stop()
        if self._weights is None:
            return  # within an iteration
        if _on_all(self._saved_at == runner.iter and marked_at(runner.work_dir) != self._marked):
            runner.checkpointer.finish()
            runner.logger.warning(
                f"stopped by {reason} while validating; --resume continues from the last "
                "checkpoint, with this validation"
            )
            self._stop()
        # A hook may have exchanged the weights for those of an average.
        if _on_all(all(map(torch.equal, self._weights, _sums(runner)))):
            self._save_and_stop(runner, runner.progress)

    def _save_and_stop(self, runner: Run, reached: Progress) -> None:
        drop_output_without_reader()
        stopped = f"stopped by {signal.Signals(self._number).name} after iteration {reached.iter}"
        unsaved: CheckpointWriteError | None = None
        try:
            path = save_now(runner, _FILENAME, reached)
            runner.checkpointer.finish()
        except CheckpointWriteError as error:  # on all ranks
            unsaved = error
        barrier()  # a launcher ends the other ranks when the first one has ended
        if unsaved is None:
            name = Path(path).name
            runner.logger.warning(f"{stopped}; saved {name}, from which --resume continues")
        else:  # the exit code is that of the signal: a scheduler that starts the run again is right
            runner.logger.error(
                f"{stopped}, which is not saved: {unsaved}. Former checkpoints stay, and --resume "
                "continues from the newest; make room first, or set another out_dir"
            )
        self._stop()

    def _stop(self) -> NoReturn:
        self._stopped = True
        number, own = self._number, None
        if self._taken is not None:
            own = self._taken.own_handler(number)
            self._taken.restore()
        if own is not None:
            own(number, None)
        # As without this hook: a notebook or script may handle Ctrl-C by itself.
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)


def _place_in_validation(runner: Run, batch_idx: int) -> tuple[float, float] | None:
    """Return the number of the set and of the batch, which is infinite for the last batch.

    Ranks may have one batch more or less than others, so the last batches are the same place.
    None without a length: the end of the validation is then the next place.
    """
    loop: Any = runner.val_loop
    name, data = getattr(loop, "current_set", ""), loop.dataloader
    loader = getattr(loop, "current_dataloader", data)
    if runner.world_size == 1:
        return 0, 0
    try:
        length = len(loader)
    except TypeError:
        return None
    place = list(data).index(name) if name else 0
    return place, float("inf") if batch_idx + 1 >= length else batch_idx


def _on_all(value: bool) -> bool:
    """Return whether a value is true on all ranks."""
    return all(all_gather_object(value))


def _sums(runner: Run) -> list[Tensor]:
    """Return the sum of each weight, on its device: no copy, and no wait for the device."""
    tensors = [*runner.model.parameters(), *runner.model.buffers()]
    # Of a sharded weight the part of this rank, as its sum would need a collective.
    local = [item.to_local() if hasattr(item, "to_local") else item for item in tensors]
    return [item.detach().sum(dtype=torch.float32) for item in local if item.is_floating_point()]
