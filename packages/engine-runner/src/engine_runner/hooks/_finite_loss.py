"""Act on a loss that is NaN, infinite or jumps: stop, leave the step out, or roll back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from engine_dist import all_gather_object, broadcast_object_list
from engine_optim import LossJumps
from engine_registry import HOOKS
from engine_runner._errors import NonFiniteLossError, RollbackRequest, SettingsError
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_runner.checkpoint import MARKER, broken_weight, marked_at, non_finite_weights
from engine_runner.hooks._bad_losses import (
    IN_A_ROW,
    BadLoss,
    bad_of_window,
    first_jump,
    first_non_finite,
    has_scaler,
    losses_in,
    losses_of,
    overflow,
)
from engine_runner.hooks._batch_names import (
    BatchNumber,
    BatchNumbers,
    batch_text,
    names_in,
    names_text,
)
from engine_runner.hooks._left_out import LeftOutSteps

Action = Literal["stop", "warn", "raise", "skip", "rollback"]

_ITERATION_POINTS = ("before_train_iter", "after_train_iter")


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Act on a loss that is NaN, infinite or jumps, before such weights are saved.

    `Runner` registers it by default, and its setting ``on_bad_loss`` chooses the action;
    ``default_hooks=dict(finite_loss=None)`` leaves it out. It checks the losses of each iteration,
    but reads them only where the run reads its losses anyway: when it logs, at the end of an epoch,
    and before a checkpoint. There it also checks the weights that are trained, except those that
    were not finite when the training began.

    With a gradient scaler (float16) a step whose gradients overflow is skipped, and is not an
    error. Only 20 iterations in a row without a finite loss are one.

    ``"skip"`` acts within the iteration. It reads one number from the device per step of an
    optimizer, after the backward pass: the host waits there, and cannot prepare the next iteration
    meanwhile. It also copies the buffers of the model once per step, and needs their memory.

    Args:
        action: ``"raise"``, also ``"stop"``, raises the error. ``"skip"`` leaves the step out: no
            weight, buffer, moment of an optimizer, schedule or average changes; an accumulation
            window is left out as a whole. ``"rollback"`` returns to the last checkpoint of this
            run, and passes over the batch from then on. ``"warn"`` logs the error once, and again
            after the loss has been finite in between.
        jump: A finite loss is bad, too, if it is more than this number of deviations above the
            median of the last losses; see `engine_optim.LossJumps`. By default none is.
        window: The number of last losses that are compared.
        in_a_row: The number of steps left out in a row after which the training stops.
        max_rollbacks: The number of times that a run, however often it is resumed, returns to a
            checkpoint before it stops.

    Raises:
        ValueError: An argument has another value.

    Example:
        >>> FiniteLossHook(action="ignore")
        Traceback (most recent call last):
        ...
        ValueError: action must be one of stop, warn, raise, skip, rollback, got 'ignore'; ...
    """

    priority = "LOW"

    def __init__(
        self,
        action: Action = "stop",
        *,
        jump: float | None = None,
        window: int = 100,
        in_a_row: int = IN_A_ROW,
        max_rollbacks: int = 3,
    ) -> None:
        if action not in get_args(Action):
            raise ValueError(
                f"action must be one of {', '.join(get_args(Action))}, got {action!r}; "
                "default_hooks=dict(finite_loss=None) leaves this check out"
            )
        self.action = "raise" if action == "stop" else action
        self.in_a_row = integer("in_a_row", in_a_row, at_least=1)
        self.max_rollbacks = integer("max_rollbacks", max_rollbacks, at_least=1)
        self.jump = jump
        self._jumps = None if jump is None else LossJumps(jump, window)
        self._left_out = LeftOutSteps(jump, window)
        self._batches = BatchNumbers()
        self._rollbacks = 0
        self._trains = False
        self._started = 0
        self._checked = 0  # iterations whose losses were checked
        self._warned = False
        self._earlier_mark: int | None = None
        self._other_mark: int | None = None  # of a checkpoint that this run has not resumed
        self._from_start: set[str] = set()  # weights that were not finite before the training

    @property
    def stops(self) -> bool:
        """Whether the training ends before weights that are not finite are saved."""
        return self.action != "warn"

    @property
    def summary(self) -> list[tuple[str, str]]:
        """What was done about bad losses, for the report at the end: pairs of name and text."""
        rows = []
        if self._left_out.count:
            rows.append(("steps left out", f"{self._left_out.count}, for a bad loss"))
        if self._rollbacks:
            batches = len(self._batches.passed_over)
            rows.append(("rolled back", f"{self._rollbacks} times; {batches} batches passed over"))
        return rows

    def acts_at(self, point: str) -> bool:
        """Return whether this hook acts at a point: within an iteration only to skip."""
        return super().acts_at(point) and (self.action == "skip" or point not in _ITERATION_POINTS)

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Check nothing outside of a training: a checkpoint saved there is the caller's."""
        self._trains = False
        try:
            yield
        finally:
            self._trains = False
            self._left_out.detach(runner)

    def before_train(self, runner: Run) -> None:
        """Check the losses from now on, not those in the history of a resumed run.

        Raises:
            SettingsError: The loop or an optimizer of the run cannot do what ``action`` needs.
        """
        self._trains, self._warned = True, False
        self._checked = self._started = runner.iter
        self._from_start = set(non_finite_weights(runner.model))
        # A resumed run has begun with finite weights; otherwise an older mark is another run's.
        mark = marked_at(runner.work_dir)
        self._earlier_mark = None if runner.iter else mark
        self._other_mark = None if runner.checkpointer.continues else mark
        if self.action == "skip":
            self._left_out.attach(runner)
        if self.action == "rollback" and not self._saved(runner) and not _saves(runner):
            runner.logger.warning(
                "on_bad_loss='rollback' has no checkpoint to return to, because this run saves at "
                "its end alone; set default_hooks.checkpoint.interval"
            )
        loop = runner.train_loop
        if hasattr(loop, "passed_over"):
            loop.passed_over = self._batches.passed_over
        elif self.action == "rollback":
            raise SettingsError(
                f"on_bad_loss must be 'raise' or 'skip' with a {type(loop).__name__}, got "
                "'rollback', which needs a loop that passes over batches, as those of "
                "engine_runner.loops"
            )

    def before_train_epoch(self, runner: Run) -> None:
        """Note at which batch the epoch begins."""
        self._batches.begin_epoch(runner)

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Copy what the forward pass changes; only to leave steps out."""
        self._left_out.begin_iteration(runner.iter + 1)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Log a step that was left out.

        Raises:
            NonFiniteLossError: Too many were left out in a row.
        """
        if self._left_out.end_iteration():
            self._log_left_out(runner, runner.iter + 1, data_batch, outputs)

    def _log_left_out(
        self, runner: Run, reached: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        iteration = reached
        losses, finite = losses_in(outputs)
        size = self._left_out.window
        if finite and size > 1:  # of an accumulation window that began earlier
            iteration, earlier = bad_of_window(runner.message_hub, iteration, size)
            losses, finite = earlier or losses, not earlier
        of = "a gradient that is not finite, with " if finite and self.jump is None else ""
        text = f"{of}{losses or 'the loss'} of iteration {iteration}"
        number = self._batches.of(runner, iteration, reached)
        if self._left_out.in_a_row >= self.in_a_row:
            self._stop(
                runner,
                f"at most {self.in_a_row - 1} steps in a row must be left out, got "
                f"{self._left_out.in_a_row}, at last for {text}",
                number,
            )
        if not (finite and has_scaler(runner.optim_wrapper)):  # else its scale adapts
            is_at_hand = data_batch is not None and iteration == reached
            names = names_in(data_batch) if is_at_hand else []
            runner.logger.warning(
                f"The step was left out for {text}; {self._left_out.count} so far. "
                + batch_text(runner, number, reads=not is_at_hand)
                + (f"It has {names_text(names)}." if names else "")
            )

    def after_log(self, runner: Run) -> None:
        """Check the losses that `LoggerHook` has just read from the device.

        Raises:
            NonFiniteLossError: One is bad.
        """
        self._check_losses(runner)

    def after_train_epoch(self, runner: Run) -> None:
        """Check the losses since the last line of the log.

        Where the length of the data is unknown, the last accumulation window ends here.

        Raises:
            NonFiniteLossError: One is bad, or too many steps were left out in a row.
        """
        if self._left_out.end_iteration():
            self._log_left_out(runner, runner.iter)
        self._check_losses(runner)

    def after_train(self, runner: Run) -> None:
        """Check that a training too short for ``in_a_row`` has had a step at all.

        Raises:
            NonFiniteLossError: It had none.
        """
        done = runner.iter - self._started
        length = min(done, self.in_a_row)
        if not length:  # a finished run was resumed, or a rollback has passed over the last batch
            return
        if self.action == "skip" and self._left_out.in_a_row >= length:
            self._stop(runner, f"a step must be possible, got bad losses in the last {length}")
        if has_scaler(runner.optim_wrapper):
            own = overflow(losses_of(runner.message_hub, length), runner.iter, length)
            if (bad := self._of_all_ranks(runner, own)) is not None:
                self._act(runner, bad)

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Check the losses, and the weights that are saved.

        Raises:
            NonFiniteLossError: A loss is bad, or a weight that is trained is not finite.
        """
        if not self._trains:
            return
        self._check_losses(runner)
        name = broken_weight(runner.model, self._from_start)
        if name is not None:
            problem = f"the weights must be finite, got NaN or infinity in {name!r}"
            self._act(runner, BadLoss(0, problem))

    def state_dict(self) -> dict[str, Any]:
        """Return the number of rollbacks, the batches passed over, and the recent losses."""
        return {
            "rollbacks": self._rollbacks,
            "passed_over": sorted(map(list, self._batches.passed_over)),
            "left_out": self._left_out.state_dict(),
            "jumps": None if self._jumps is None else self._jumps.state_dict(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue with a state; what was passed over since it was saved stays so."""
        self._rollbacks = max(self._rollbacks, int(state_dict["rollbacks"]))
        self._batches.passed_over |= {BatchNumber(*item) for item in state_dict["passed_over"]}
        self._left_out.load_state_dict(state_dict["left_out"])
        if self._jumps is not None and state_dict["jumps"] is not None:
            self._jumps.load_state_dict(state_dict["jumps"])

    def _check_losses(self, runner: Run) -> None:
        reached = int(runner.message_hub.get_info("iter", default=-1)) + 1
        count, self._checked = reached - self._checked, max(reached, self._checked)
        if count <= 0:
            return
        found = self._of_all_ranks(runner, self._find(runner, reached, count))
        if found is None:
            self._warned = False
            return
        self._act(runner, found)

    def _of_all_ranks(self, runner: Run, found: BadLoss | None) -> BadLoss | None:
        """Return the first bad loss of any rank before a rollback, and otherwise that of this one.

        A loss may be bad on one rank alone; all ranks return to the checkpoint.
        """
        if self.action != "rollback" or runner.world_size == 1:
            return found
        every = all_gather_object(None if found is None else tuple(found))
        return min((BadLoss(*item) for item in every if item is not None), default=None)

    def _find(self, runner: Run, reached: int, count: int) -> BadLoss | None:
        losses = losses_of(runner.message_hub, max(count, self.in_a_row))
        known = self._left_out.iterations
        if has_scaler(runner.optim_wrapper):
            found = None if self.action == "skip" else overflow(losses, reached, self.in_a_row)
        else:
            found = first_non_finite(losses, reached, count, known)
        if self._jumps is None or self.action == "skip":
            return found
        jump = first_jump(self._jumps, losses, reached, count)
        return min(filter(None, (found, jump)), default=None)

    def _act(self, runner: Run, bad: BadLoss) -> None:
        reached = int(runner.message_hub.get_info("iter", default=-1)) + 1
        number = self._batches.of(runner, bad.iteration or reached, reached)
        problem = bad.problem
        if bad.iteration:
            rates = _rates(runner.optim_wrapper.get_lr())
            problem = f"{problem} at iteration {bad.iteration} with {rates}"
        if bad.others:
            problem = f"{problem}; not finite either: {', '.join(bad.others)}"
        if self.action == "rollback":
            self._roll_back(runner, problem, number)
        if self.stops:
            self._stop(runner, problem, number)
        if not self._warned:
            runner.logger.warning(self._message(runner, problem, number))
        self._warned = True

    def _roll_back(self, runner: Run, problem: str, number: BatchNumber | None) -> NoReturn:
        runner.checkpointer.finish()  # a writer may still be at the last one
        saved = [self._saved(runner) and marked_at(runner.work_dir) != self._other_mark]
        broadcast_object_list(saved)  # folders may look different on another machine
        reason = ""
        if not saved[0]:
            reason = "this run has saved no checkpoint to return to; save more often"
        elif number is None:
            reason = "the batch to pass over is unknown"
        elif self._rollbacks >= self.max_rollbacks:
            reason = f"the run was rolled back {self._rollbacks} times already (max_rollbacks)"
        if reason or number is None:
            self._stop(runner, f"{problem}; {reason}", number)
        self._rollbacks += 1
        text = batch_text(runner, number)
        self._batches.passed_over.add(number)
        runner.logger.warning(
            f"{problem}; returning to the last checkpoint for the {self._rollbacks}. of at most "
            f"{self.max_rollbacks} times, and passing over this batch. {text}"
        )
        raise RollbackRequest(self._message(runner, problem, number))

    def _stop(self, runner: Run, problem: str, number: BatchNumber | None = None) -> NoReturn:
        raise NonFiniteLossError(self._message(runner, problem, number))

    def _message(self, runner: Run, problem: str, number: BatchNumber | None) -> str:
        return (
            f"{problem}; lower the learning rate, limit the gradients with "
            "optim_wrapper.clip_grad=dict(max_norm=1.0), or find the operation with "
            f"torch.autograd.set_detect_anomaly(True). {batch_text(runner, number)}"
            f"{self._last_checkpoint(runner)}"
        )

    def _saved(self, runner: Run) -> bool:
        """Return whether this run has saved a checkpoint, or was resumed from one."""
        time = marked_at(runner.work_dir)
        return time is not None and time != self._earlier_mark

    def _last_checkpoint(self, runner: Run) -> str:
        if not self._saved(runner):
            return "No checkpoint was saved before."
        path = Path(runner.work_dir, MARKER).read_text(encoding="utf-8", errors="replace").strip()
        return f"The last checkpoint is {path}"


def _saves(runner: Run) -> bool:
    """Return whether the run saves checkpoints before its end, other than the best ones."""
    saver: Any = HOOKS.get("CheckpointHook")  # its module imports this one
    return any(isinstance(hook, saver) and hook.interval > 0 for hook in runner.hooks)


def _rates(rates: Mapping[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[0]:g}" for name, values in rates.items() if values)
