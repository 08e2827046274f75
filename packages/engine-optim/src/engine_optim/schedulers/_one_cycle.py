"""Follow the 1cycle policy: rise to a maximum, then fall far below the start."""

import math
from collections.abc import Sequence
from dataclasses import InitVar
from typing import Literal

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._declare import LRSchedulerMixin, schedule


@schedule
class OneCycleParamScheduler(_ParamScheduler):
    """Raise the value to a maximum, then lower it far below its start (1cycle policy).

    Equals `torch.optim.lr_scheduler.OneCycleLR` with ``cycle_momentum=False``
    (https://arxiv.org/abs/1708.07120). New values do not depend on the current ones, so it
    overwrites the result of other schedulers. The first step after the cycle keeps the lowest
    value. Later steps raise `ValueError`.

    Args:
        eta_max: The highest value: one value, or one per group.
        total_steps: Steps of the cycle. ``end - begin`` if omitted.
        pct_start: The fraction of the cycle in which the value rises, in [0, 1].
        anneal_strategy: ``cos`` or ``linear``.
        div_factor: The cycle starts at ``eta_max / div_factor``.
        final_div_factor: The cycle ends at ``eta_max / div_factor / final_div_factor``.
        three_phase: Whether the value first falls to its start, as fast as it rose.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = OneCycleLR(optimizer, eta_max=0.5, total_steps=9000, by_epoch=False)
    """

    _step_arguments = ("total_steps",)
    _derived = ("phases",)

    optimizer: Schedulable
    param_name: str
    eta_max: InitVar[float | Sequence[float]] = 0
    total_steps: float | None = None
    pct_start: InitVar[float] = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    div_factor: InitVar[float] = 25.0
    final_div_factor: InitVar[float] = 1e4
    three_phase: InitVar[bool] = False
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(
        self,
        eta_max: float | Sequence[float],
        pct_start: float,
        div_factor: float,
        final_div_factor: float,
        three_phase: bool,
    ) -> None:
        if self.total_steps is None and self.end >= INF:
            raise ValueError(
                "total_steps or end must be given, got neither; the cycle needs a length"
            )
        total = count_steps(self.begin, self.end) if self.total_steps is None else self.total_steps
        if not isinstance(total, int) or total <= 0:
            raise ValueError(f"total_steps must be a positive integer, got {total}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start must be in [0, 1], got {pct_start}")
        if self.anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be 'cos' or 'linear', got {self.anneal_strategy!r}"
            )
        self.total_steps = total
        highs = list(eta_max) if isinstance(eta_max, Sequence) else [eta_max]
        starts = [high / div_factor for high in highs]
        lows = [start / final_div_factor for start in starts]
        # As in torch, steps count from 0, so the rise ends one step earlier.
        rise = float(pct_start * total) - 1
        # Each phase has its last step, and the values of each group at its begin and end.
        self.phases: list[tuple[float, list[float], list[float]]] = [(rise, starts, highs)]
        if three_phase:
            self.phases += [(2 * rise, highs, starts), (total - 1, starts, lows)]
        else:
            self.phases += [(total - 1, highs, lows)]
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        step = self.last_step
        if step > self.total_steps:  # type: ignore[operator]  # not None after init
            raise ValueError(
                f"step must be at most total_steps={self.total_steps}, got {step}; increase "
                "total_steps, or set end"
            )
        first = 0.0
        last, starts, ends = self.phases[0]
        for following in self.phases[1:]:
            if step <= last:
                break
            first, (last, starts, ends) = last, following
        # A phase without length (pct_start=0) is at its end, and so is the step after the cycle.
        done = min((step - first) / (last - first), 1.0) if last != first else 1.0
        part = (1 - math.cos(math.pi * done)) / 2 if self.anneal_strategy == "cos" else done
        values: list[Value] = [
            start + (stop - start) * part for start, stop in zip(starts, ends, strict=True)
        ]
        count = len(self._groups())
        if len(values) not in (1, count):
            raise ValueError(
                f"eta_max must have one value, or one per parameter group, got {len(values)} "
                f"for {count} groups"
            )
        return values if len(values) == count else values * count


@schedule
class OneCycleLR(LRSchedulerMixin, OneCycleParamScheduler):
    """Schedule the learning rate: see `OneCycleParamScheduler`."""
