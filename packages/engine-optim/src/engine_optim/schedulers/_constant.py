"""Multiply by a constant factor until the interval ends."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class ConstantParamScheduler(_ParamScheduler):
    """Multiply the value by ``factor`` at ``begin``; restore it at the last step before ``end``.

    Equals `torch.optim.lr_scheduler.ConstantLR` with ``total_iters = end - begin - 1``.

    Args:
        factor: The factor, in [0, 1].
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = ConstantLR(optimizer, factor=0.1, end=5)
    """

    optimizer: Schedulable
    param_name: str
    factor: float = 1.0 / 3
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.factor <= 1:
            raise ValueError(f"factor must be in [0, 1], got {self.factor}")
        self.total_iters = count_steps(self.begin, self.end) - 1
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        values = self._current()
        if self.total_iters == 0:
            return values
        if self.last_step == 0:
            return [value * self.factor for value in values]
        if self.last_step != self.total_iters:
            return values
        # A value times 0 cannot be divided back.
        if self.factor == 0:
            return list(self.base_values)
        return [value * (1.0 / self.factor) for value in values]


@schedule
class ConstantLR(LRSchedulerMixin, ConstantParamScheduler):
    """Schedule the learning rate: see `ConstantParamScheduler`."""


@schedule
class ConstantMomentum(MomentumSchedulerMixin, ConstantParamScheduler):
    """Schedule the momentum: see `ConstantParamScheduler`."""
