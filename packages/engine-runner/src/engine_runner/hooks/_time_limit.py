"""Stop a training before a limit of time, with a checkpoint."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine_dist import barrier, broadcast_object_list
from engine_registry import HOOKS
from engine_runner._errors import TimeLimitReached
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._time_limit import MaxTime, seconds_of, text_of
from engine_runner._types import Batch, Outputs
from engine_runner.checkpoint import save_now

_FILENAME = "interrupted.pth"
_MOST_RESERVE = 60.0
_PART = 0.05  # of the limit, which is reserved as long as no save has been measured


@HOOKS.register_module()
class TimeLimitHook(Hook):
    """Stop the training at the last iteration before a limit of time, and save a checkpoint.

    The setting ``max_time`` of `Runner` adds it. The run then ends with exit code 75
    (``EX_TEMPFAIL``), as it is not finished; ``--resume`` continues it. The time counts from when
    the runner is built.

    Rank 0 decides, and all ranks stop at the same iteration. They agree after half of the time
    that is left, then after half of the rest, and so on, and after each save and validation: in
    other iterations nothing is sent. Time for saving is reserved, twice that of the slowest save so
    far, and time for the slowest validation. A validation is not interrupted.

    Args:
        limit: ``"HH:MM:SS"``, ``"D-HH:MM:SS"``, seconds, or a `datetime.timedelta`.
        reserve: The least seconds to reserve for saving; by default 5 % of the limit, and at most
            60 s.
        count_earlier: Whether the time of earlier attempts counts, which the checkpoint has that
            the run resumes.

    Raises:
        ValueError: ``limit`` or ``reserve`` is not a time, or ``reserve`` is not the lesser.

    Example:
        >>> TimeLimitHook("4:00:00").seconds
        14400.0
    """

    priority = "VERY_LOW"  # after `CheckpointHook`, and before `SaveOnInterrupt`

    def __init__(
        self, limit: MaxTime, *, reserve: float | None = None, count_earlier: bool = False
    ) -> None:
        self.seconds = seconds_of("limit", limit)
        least = min(_MOST_RESERVE, _PART * self.seconds)
        self.reserve = least if reserve is None else seconds_of("reserve", reserve)
        if self.reserve >= self.seconds:
            raise ValueError(
                f"reserve must be less than the limit of {text_of(self.seconds)}, got {reserve!r}; "
                "the training would end after one iteration"
            )
        self.count_earlier = count_earlier
        self._built = time.monotonic()
        self._attempt = time.time_ns()
        self._earlier = 0.0
        self._next = 0  # the iteration at which the ranks agree next
        self._pace = 0.0  # seconds per iteration
        self._since = (0, 0.0)  # the iteration and the time of the last agreement
        self._saves_since: float | None = None
        self._validates_since: float | None = None
        self._slowest_save = self._slowest_validation = 0.0

    @property
    def elapsed(self) -> float:
        """The seconds since the runner was built, with those of earlier attempts."""
        return time.monotonic() - self._built + self._earlier

    def before_train(self, runner: Run) -> None:
        """Measure from the first iteration on."""
        self._next = 0
        self._pace = 0.0
        self._since = runner.iter, time.monotonic()

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Measure how long the save takes."""
        self._saves_since = time.monotonic()
        self._next = 0

    def before_train_epoch(self, runner: Run) -> None:
        """Measure the save at the end of an epoch."""
        self._end_save()

    def before_val(self, runner: Run) -> None:
        """Measure how long the validation takes."""
        self._end_save()
        self._validates_since = time.monotonic()

    def after_val(self, runner: Run) -> None:
        """Measure how long the validation took."""
        if self._validates_since is not None:
            took = time.monotonic() - self._validates_since
            self._slowest_validation = max(self._slowest_validation, took)
        self._validates_since, self._next = None, 0
        self._since = runner.iter, time.monotonic()

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Agree with the other ranks if it is time to; save and stop if the time is up."""
        done = runner.iter + 1
        if self._saves_since is not None:
            self._end_save()
        if done < self._next or done >= runner.max_iters:
            return
        # A writer in the background takes longer than the save; the last one is waited for.
        self._slowest_save = max(self._slowest_save, runner.checkpointer.slowest_write)
        decision = [self._decide(done)]
        broadcast_object_list(decision)
        self._next = decision[0]
        if self._next <= done:
            self._save_and_stop(runner)

    def _end_save(self) -> None:
        if self._saves_since is not None:
            took = time.monotonic() - self._saves_since
            self._slowest_save = max(self._slowest_save, took)
            self._saves_since = None

    def _decide(self, done: int) -> int:
        """Return the iteration at which to decide again; the one that ends now to stop."""
        now = time.monotonic()
        before, then = self._since
        self._since = done, now
        if done > before:
            # The slowest pace of late: one iteration may take longer than the mean.
            self._pace = max((now - then) / (done - before), self._pace / 2)
        elapsed = self.elapsed - (0.0 if self.count_earlier else self._earlier)
        kept = max(self.reserve, 2 * self._slowest_save) + self._slowest_validation
        left = self.seconds - elapsed - kept
        if left < 2 * self._pace:
            return done
        return done + max(1, int(left / 2 / max(self._pace, 1e-6)))

    def _save_and_stop(self, runner: Run) -> None:
        reached = runner.progress.advanced(iterations=1)
        path = save_now(runner, _FILENAME, reached)
        barrier()  # a launcher ends the other ranks when the first one has ended
        message = (
            f"the training is not finished: max_time {text_of(self.seconds)} is nearly over after "
            f"iteration {reached.iter} of {runner.max_iters}; saved {Path(path).name}, from which "
            "--resume continues"
        )
        runner.logger.warning(message)
        raise TimeLimitReached(message)

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds of all attempts."""
        return {"elapsed": self.elapsed, "attempt": self._attempt}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the seconds of earlier attempts."""
        if state_dict["attempt"] != self._attempt:  # else this run returned to its own checkpoint
            self._earlier = float(state_dict["elapsed"])
