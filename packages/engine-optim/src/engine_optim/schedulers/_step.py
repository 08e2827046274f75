"""Multiply by a factor every few steps."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class StepParamScheduler(_ParamScheduler):
    """Multiply the value by ``gamma`` every ``step_size`` steps, as torch's `StepLR`.

    Args:
        step_size: Steps between two changes.
        gamma: The factor of each change.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = StepLR(optimizer, step_size=30, gamma=0.1)
    """

    _step_arguments = ("step_size",)

    optimizer: Schedulable
    param_name: str
    step_size: float
    gamma: float = 0.1
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.step_size <= 0:
            raise ValueError(f"step_size must be positive, got {self.step_size}")
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        if self.last_step == 0 or self.last_step % self.step_size:
            return self._current()
        return [value * self.gamma for value in self._current()]


@schedule
class StepLR(LRSchedulerMixin, StepParamScheduler):
    """Schedule the learning rate: see `StepParamScheduler`."""


@schedule
class StepMomentum(MomentumSchedulerMixin, StepParamScheduler):
    """Schedule the momentum: see `StepParamScheduler`."""
