"""Multiply by a factor at given steps."""

from collections import Counter
from collections.abc import Iterable

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class MultiStepParamScheduler(_ParamScheduler):
    """Multiply the value by ``gamma`` at each milestone, as torch's `MultiStepLR`.

    Args:
        milestones: The steps of the changes, counted from ``begin``. A milestone that is given
            twice applies ``gamma`` twice.
        gamma: The factor of each change.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = MultiStepLR(optimizer, milestones=[60, 80], gamma=0.1)
    """

    _step_arguments = ("milestones",)

    optimizer: Schedulable
    param_name: str
    milestones: Iterable[float]
    gamma: float = 0.1
    last_step: int = -1
    begin: float = 0
    end: float = INF
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        # A plain dict, not a Counter: `weights_only` reads plain values in every version of torch.
        self.milestones = dict(Counter(_integers(self.milestones)))
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        if self.last_step not in self.milestones:
            return self._current()
        count = self.milestones[self.last_step]  # type: ignore[index]  # a dict after init
        factor = self.gamma**count
        return [value * factor for value in self._current()]


def _integers(milestones: Iterable[float]) -> list[int]:
    # Raise for a fraction: no step reaches it, so the schedule would do nothing without an error.
    # A value that is not iterable becomes a fraction, to raise the same error.
    given = list(milestones) if isinstance(milestones, Iterable) else [0.5]
    if any(step != int(step) for step in given):
        raise ValueError(f"milestones must be a list of integers, got {milestones!r}")
    return [int(step) for step in given]


@schedule
class MultiStepLR(LRSchedulerMixin, MultiStepParamScheduler):
    """Schedule the learning rate: see `MultiStepParamScheduler`."""


@schedule
class MultiStepMomentum(MomentumSchedulerMixin, MultiStepParamScheduler):
    """Schedule the momentum: see `MultiStepParamScheduler`."""
