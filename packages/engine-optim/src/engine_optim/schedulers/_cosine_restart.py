"""Anneal by a half cosine in each period, and restart."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._cosine import lowest_value, lowest_values
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class CosineRestartParamScheduler(_ParamScheduler):
    """Follow a half cosine to the lowest value in each period, then restart.

    After the last period the last value stays. New values do not depend on the current
    ones, so it overwrites the result of other schedulers. With equal weights it equals
    `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts` of the same periods
    (SGDR, https://arxiv.org/abs/1608.03983).

    Args:
        periods: The steps of each period.
        restart_weights: The start of each period, from 0 (the lowest value) to 1 (the initial
            value). A single weight applies to all periods.
        eta_min: The lowest value; 0 if omitted.
        eta_min_ratio: The lowest value as a fraction of the initial one, instead of ``eta_min``.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = CosineRestartLR(optimizer, periods=[10, 20], restart_weights=[1, 0.5])
    """

    _step_arguments = ("periods",)
    _derived = ("starts",)

    optimizer: Schedulable
    param_name: str
    periods: Sequence[float]
    restart_weights: Sequence[float] = (1,)
    eta_min: float | None = None
    eta_min_ratio: float | None = None
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        self.periods, weights = list(self.periods), list(self.restart_weights)
        if not self.periods or min(self.periods) <= 0:
            raise ValueError(f"periods must be positive, and at least one, got {self.periods}")
        if len(weights) not in (1, len(self.periods)):
            raise ValueError(
                f"restart_weights must have one weight, or one per period, got {len(weights)} "
                f"restart_weights for {len(self.periods)} periods"
            )
        self.restart_weights = weights if len(weights) > 1 else weights * len(self.periods)
        self.starts = [0, *accumulate(self.periods)]
        self.eta_min = lowest_value(self.eta_min, self.eta_min_ratio)
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        index = bisect_right(self.starts, self.last_step) - 1
        if index == len(self.periods):
            return self._current()
        done = (self.last_step - self.starts[index]) / self.periods[index]
        part = self.restart_weights[index] * (1 + math.cos(math.pi * done)) / 2
        low = self.eta_min
        if low is not None:
            return [low + (base - low) * part for base in self.base_values]
        lows = lowest_values(self.base_values, self.eta_min, self.eta_min_ratio)
        return [low + (base - low) * part for base, low in zip(self.base_values, lows, strict=True)]


@schedule
class CosineRestartLR(LRSchedulerMixin, CosineRestartParamScheduler):
    """Schedule the learning rate: see `CosineRestartParamScheduler`."""


@schedule
class CosineRestartMomentum(MomentumSchedulerMixin, CosineRestartParamScheduler):
    """Schedule the momentum: see `CosineRestartParamScheduler`."""
