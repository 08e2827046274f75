"""Follow a half cosine from the initial value to the lowest."""

import math

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule

# The distance to the turn, in periods, that counts as the turn. A step may miss it by rounding.
_TURN = 1e-7


def lowest_value(eta_min: float | None, ratio: float | None) -> float | None:
    """Return the lowest value: 0 if neither is given, ``None`` if only the ratio is given."""
    if eta_min is not None and ratio is not None:
        raise ValueError(
            f"at most one of eta_min and eta_min_ratio must be given, got {eta_min} and {ratio}"
        )
    return 0.0 if eta_min is None and ratio is None else eta_min


def lowest_values(bases: list[Value], eta_min: float | None, ratio: float | None) -> list[Value]:
    """Return the lowest value of each group."""
    return [base * ratio if ratio is not None else eta_min or 0.0 for base in bases]


@schedule
class CosineAnnealingParamScheduler(_ParamScheduler):
    """Follow a half cosine to the lowest value in ``T_max`` steps, and back in the next ``T_max``.

    Equals `torch.optim.lr_scheduler.CosineAnnealingLR`. It computes each value from the current
    one, so it works with other schedulers. Alone, the value is
    ``low + (initial - low) * (1 + cos(pi * step / T_max)) / 2`` (SGDR without restarts,
    https://arxiv.org/abs/1608.03983).

    Args:
        T_max: Steps from the highest value to the lowest. ``end - begin`` if omitted.
        eta_min: The lowest value; 0 if omitted.
        eta_min_ratio: The lowest value as a fraction of the initial one, instead of ``eta_min``.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = CosineAnnealingLR(optimizer, T_max=90, eta_min_ratio=0.01)
    """

    _step_arguments = ("T_max",)

    optimizer: Schedulable
    param_name: str
    T_max: float | None = None
    eta_min: float | None = None
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False
    eta_min_ratio: float | None = None

    def __post_init__(self) -> None:
        if self.T_max is None:
            self.T_max = self.end - self.begin
        if self.T_max <= 0:
            raise ValueError(f"T_max must be positive, got {self.T_max}")
        self.eta_min = lowest_value(self.eta_min, self.eta_min_ratio)
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        step, values = self.last_step, self._current()
        period: float = self.T_max  # type: ignore[assignment]  # not None after init
        if step == 0:
            return values
        # The phase of the previous step, in half cosines. At 1 the value is at its lowest.
        phase = (step - 1) / period % 2
        if abs(phase - 1) < _TURN:
            return self._turned(values, period)
        ratio = (1 + math.cos(math.pi * step / period)) / (1 + math.cos(math.pi * phase))
        low = self.eta_min
        # One lowest value for all groups, the usual case, needs no list of them.
        if low is not None:
            return [(value - low) * ratio + low for value in values]
        lows = lowest_values(self.base_values, None, self.eta_min_ratio)
        return [(value - low) * ratio + low for value, low in zip(values, lows, strict=True)]

    def _turned(self, values: list[Value], period: float) -> list[Value]:
        """Return the values after the turn, raised as far as the first step lowered them."""
        # At the turn the distance to the lowest value is 0, which no factor can raise.
        rise = (1 - math.cos(math.pi / period)) / 2
        lows = lowest_values(self.base_values, self.eta_min, self.eta_min_ratio)
        return [
            value + (base - low) * rise
            for value, base, low in zip(values, self.base_values, lows, strict=True)
        ]


@schedule
class CosineAnnealingLR(LRSchedulerMixin, CosineAnnealingParamScheduler):
    """Schedule the learning rate: see `CosineAnnealingParamScheduler`."""


@schedule
class CosineAnnealingMomentum(MomentumSchedulerMixin, CosineAnnealingParamScheduler):
    """Schedule the momentum: see `CosineAnnealingParamScheduler`."""
