"""Multiply by a factor that changes linearly over the interval."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class LinearParamScheduler(_ParamScheduler):
    """Multiply the value by a factor that changes from ``start_factor`` to ``end_factor`` linearly.

    ``end_factor`` is reached at the last step of ``[begin, end)``: after a warm-up over
    ``[0, 100)``, step 99 has the full value. Equals `torch.optim.lr_scheduler.LinearLR` with
    ``total_iters = end - begin - 1``.

    Args:
        start_factor: The factor at ``begin``, in (0, 1].
        end_factor: The factor at the last step, in [0, 1].
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = LinearLR(optimizer, start_factor=0.01, end=500, by_epoch=False)
    """

    optimizer: Schedulable
    param_name: str
    start_factor: float = 1.0 / 3
    end_factor: float = 1.0
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.start_factor <= 1:
            raise ValueError(f"start_factor must be in (0, 1], got {self.start_factor}")
        if not 0 <= self.end_factor <= 1:
            raise ValueError(f"end_factor must be in [0, 1], got {self.end_factor}")
        self.total_iters = count_steps(self.begin, self.end) - 1
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        step, total, start = self.last_step, self.total_iters, self.start_factor
        if total == 0:
            factor = self.end_factor
        elif step == 0:
            factor = start
        else:
            # The factor at this step, divided by the factor at the previous step.
            change = self.end_factor - start
            factor = 1.0 + change / (total * start + (step - 1) * change)
        return [value * factor for value in self._current()]


@schedule
class LinearLR(LRSchedulerMixin, LinearParamScheduler):
    """Schedule the learning rate: see `LinearParamScheduler`."""


@schedule
class LinearMomentum(MomentumSchedulerMixin, LinearParamScheduler):
    """Schedule the momentum: see `LinearParamScheduler`."""
