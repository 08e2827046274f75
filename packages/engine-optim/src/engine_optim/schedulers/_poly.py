"""Decay by a polynomial over the interval."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class PolyParamScheduler(_ParamScheduler):
    """Decay the value to ``eta_min`` by a power of the remaining fraction of the interval.

    ``eta_min`` is reached at the last step of ``[begin, end)``. With ``eta_min=0``, it equals
    `torch.optim.lr_scheduler.PolynomialLR` with ``total_iters = end - begin - 1``.

    Args:
        eta_min: The value at the last step.
        power: The exponent; 1 is a straight line.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = PolyLR(optimizer, power=0.9, eta_min=1e-4, end=90)
    """

    optimizer: Schedulable
    param_name: str
    eta_min: float = 0
    power: float = 1.0
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        self.total_iters = count_steps(self.begin, self.end) - 1
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        step, total, low = self.last_step, self.total_iters, self.eta_min
        if step == 0:
            return self._current()
        # The remaining fraction now, divided by that of the previous step.
        decay = ((total - step) / (total - step + 1)) ** self.power
        return [(value - low) * decay + low for value in self._current()]


@schedule
class PolyLR(LRSchedulerMixin, PolyParamScheduler):
    """Schedule the learning rate: see `PolyParamScheduler`."""


@schedule
class PolyMomentum(MomentumSchedulerMixin, PolyParamScheduler):
    """Schedule the momentum: see `PolyParamScheduler`."""
