"""Find the settings of a training that never act, for a warning at its start."""

from collections.abc import Iterator
from typing import Any, Protocol

from engine_runner._protocols import Run
from engine_runner._validation import never_validates


class _Saving(Protocol):
    """The settings of `CheckpointHook` that are compared with the length of the training."""

    interval: int
    save_begin: int
    by_epoch: bool
    save_last: bool
    has_idle_rule: bool
    best: list[Any]
    published_keys: tuple[str, ...]

    @property
    def max_keep_ckpts(self) -> int:
        """The most checkpoints to keep."""


def idle_validation(runner: Run) -> Iterator[str]:
    """Yield what the training loop has set, and never reaches.

    Args:
        runner: The run, whose loop has ``val_begin`` and ``dynamic_intervals``.
    """
    if runner.val_loop is None:
        return
    reason = never_validates(runner)
    if reason is not None:
        yield f"the run never validates: {reason}"
        return
    last, unit = _length(runner, runner.trains_by_epoch)
    intervals: Any = getattr(runner.train_loop, "_intervals", ())  # a loop of the user's has none
    for milestone, interval in intervals if isinstance(intervals, list) else ():
        if milestone > last > 0:
            yield (
                f"dynamic_intervals never acts from {milestone} on with the interval {interval}: "
                f"the training has {last} {unit}"
            )


def idle_saving(runner: Run, hook: _Saving) -> Iterator[str]:
    """Yield the settings of a `CheckpointHook` that never act.

    Args:
        runner: The run.
        hook: The hook.
    """
    if hook.has_idle_rule:
        yield "rule, greater_keys and less_keys never act without save_best; set it to a metric"
    if hook.interval < 1 and hook.max_keep_ckpts > 0:
        yield (
            f"max_keep_ckpts={hook.max_keep_ckpts} acts on checkpoints of an interval, got "
            f"interval={hook.interval}; set interval"
        )
    if hook.interval < 1 and hook.save_begin > 0 and not hook.best:
        yield (
            f"save_begin={hook.save_begin} acts on checkpoints of an interval and on save_best, "
            f"got interval={hook.interval}; set interval"
        )
    if hook.published_keys and not (hook.save_last or hook.best):
        yield "published_keys never acts with save_last=False and no save_best; set one of them"
    if hook.by_epoch and not runner.trains_by_epoch and hook.interval > 0:
        yield (
            "train_cfg counts iterations and CheckpointHook epochs: a checkpoint is saved at the "
            "end of the training only. Set its by_epoch=False, and interval to iterations"
        )
    reason = never_validates(runner) if hook.best else None
    if reason is not None:
        yield f"save_best never acts: it needs a validation, and {reason}"
    last, unit = _length(runner, hook.by_epoch)
    first = (hook.save_begin or hook.interval) if hook.interval > 0 else 0
    if first > last > 0 and (runner.trains_by_epoch or not hook.by_epoch):
        name = "save_begin" if hook.save_begin else "interval"
        outcome = "at its end only" if hook.save_last else "never"
        yield (
            f"CheckpointHook saves {outcome}: {name}={first}, and the training has {last} {unit}; "
            f"lower {name}"
        )


def _length(runner: Run, by_epoch: bool) -> tuple[int | float, str]:
    if by_epoch:
        return runner.max_epochs, "epochs"
    return runner.max_iters, "iterations"
