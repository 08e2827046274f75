"""Step the schedules of learning rates, momentum and other options."""

from collections.abc import Iterator
from typing import Any

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._types import Batch, Metrics, Outputs
from engine_runner._validation import never_validates
from engine_runner._wrappers import guards_of, wrappers_by_name


@HOOKS.register_module()
class ParamSchedulerHook(Hook):
    """Step each schedule in the order of the config: by iteration, by epoch, or by metrics.

    Example:
        >>> ParamSchedulerHook().get_triggered_stages()
        ['before_train', 'after_train_iter', 'after_train_epoch', 'after_val_epoch']
    """

    priority = "LOW"

    def before_train(self, runner: Run) -> None:
        """Warn of schedules that wait for a metric in a run that never validates."""
        for scheduler in _flat(runner.param_schedulers):
            reason = never_validates(runner) if _waits(scheduler) else None
            if reason is not None:
                runner.logger.warning(f"{type(scheduler).__name__} never acts: {reason}")

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Step the schedules that count iterations."""
        schedulers = runner.param_schedulers
        if guards_of(runner.optim_wrapper):
            schedulers = _counting(schedulers, runner.optim_wrapper)
        for scheduler in schedulers if type(schedulers) is list else _flat(schedulers):
            if not scheduler.by_epoch:
                scheduler.step()

    def after_train_epoch(self, runner: Run) -> None:
        """Step the schedules that count epochs."""
        for scheduler in _flat(runner.param_schedulers):
            if scheduler.by_epoch:
                scheduler.step()

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Step the schedules that wait for a metric, such as `ReduceOnPlateauLR`.

        Outside of training (``runner.val()``) there are no schedules, and nothing happens. A
        validation before the training shows no progress, so it counts for no schedule.
        """
        if metrics is None or runner.iter == 0:
            return
        for scheduler in _flat(runner.param_schedulers):
            if _waits(scheduler):
                scheduler.step(metrics)


def _counting(schedulers: Any, optim_wrapper: Any) -> Any:
    """Return the schedulers of the optimizers whose step was not left out.

    The schedules of one optimizer are a list; those of several are lists by their names.
    """
    guards = {name: one.guard for name, one in wrappers_by_name(optim_wrapper).items()}
    counts = {name: guard is None or guard.counts() for name, guard in guards.items()}
    if isinstance(schedulers, dict):
        return {name: group for name, group in schedulers.items() if counts.get(name, True)}
    return schedulers if any(counts.values()) else []


def _waits(scheduler: Any) -> bool:
    return bool(getattr(scheduler, "need_val_args", False))


def _flat(schedulers: Any) -> Iterator[Any]:
    """Yield the schedulers of one optimizer, or of several by name."""
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers or ()]
    for group in groups:
        yield from group
