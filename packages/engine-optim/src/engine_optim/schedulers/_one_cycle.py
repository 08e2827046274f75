"""The 1cycle policy: up to a maximum, then down to far below the start."""

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

from engine_optim.schedulers._base import (
    INF,
    Schedulable,
    Value,
    _ParamScheduler,
    check_epoch_length,
    count_steps,
    in_iterations,
)
from engine_optim.schedulers._faces import LearningRateFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class OneCycleParamScheduler(_ParamScheduler):
    """Raise the value to a maximum, then lower it to far below where it began (1cycle policy).

    The same as ``torch.optim.lr_scheduler.OneCycleLR`` with ``cycle_momentum=False``
    (https://arxiv.org/abs/1708.07120). Values do not depend on what the groups hold: it does not
    chain. The step after the last of the cycle keeps the lowest value.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        eta_max: The highest value, one for all groups or one for each.
        total_steps: Steps of the cycle. ``end - begin`` if left out.
        pct_start: The part of the cycle that rises, in [0, 1].
        anneal_strategy: ``cos`` or ``linear``.
        div_factor: The cycle starts at ``eta_max / div_factor``.
        final_div_factor: It ends at the start value over this.
        three_phase: Come down to the start value first, as fast as up, and to the lowest after
            that.
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If a setting is out of its range, or the scheduler steps past ``total_steps``.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=0.1)
        >>> scheduler = OneCycleParamScheduler(
        ...     optimizer, "weight_decay", eta_max=1.0, total_steps=10, div_factor=10
        ... )
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> optimizer.param_groups[0]["weight_decay"]
        1.0
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        eta_max: float | Sequence[float] = 0,
        total_steps: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if total_steps is None and end >= INF:
            raise ValueError("give total_steps, or an end from which it follows as end - begin")
        total = count_steps(begin, end) if total_steps is None else total_steps
        if not isinstance(total, int) or total <= 0:
            raise ValueError(f"total_steps={total_steps} must be a positive integer")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start={pct_start} must lie between 0 and 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy={anneal_strategy!r}; choose 'cos' or 'linear'")
        self.total_steps = total
        self.anneal_strategy = anneal_strategy
        highs = list(eta_max) if isinstance(eta_max, Sequence) else [eta_max]
        starts = [high / div_factor for high in highs]
        lows = [start / final_div_factor for start in starts]
        rise = float(pct_start * total) - 1
        self.phases: list[tuple[float, list[float], list[float]]] = [(rise, starts, highs)]
        if three_phase:
            self.phases += [(2 * rise, highs, starts), (total - 1, starts, lows)]
        else:
            self.phases += [(total - 1, highs, lows)]
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        step = self.last_step
        if step > self.total_steps:
            raise ValueError(
                f"step {step} of a cycle of total_steps={self.total_steps}; raise it, or set end"
            )
        first = 0.0
        last, starts, ends = self.phases[0]
        for following in self.phases[1:]:
            if step <= last:
                break
            first, (last, starts, ends) = last, following
        done = min((step - first) / (last - first), 1.0) if last != first else 1.0
        part = (1 - math.cos(math.pi * done)) / 2 if self.anneal_strategy == "cos" else done
        values: list[Value] = [
            start + (stop - start) * part for start, stop in zip(starts, ends, strict=True)
        ]
        count = len(self._groups())
        if len(values) not in (1, count):
            raise ValueError(f"{len(values)} values of eta_max for {count} parameter groups")
        return values if len(values) == count else values * count

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: float = 0,
        end: float = INF,
        total_steps: int | None = None,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a scheduler that steps at each iteration from settings that count epochs.

        Args:
            *args: As for the class.
            begin: The first epoch at which it acts.
            end: The first epoch at which it does not.
            total_steps: Epochs of the cycle.
            by_epoch: Must be true: the settings count epochs.
            epoch_length: Iterations in an epoch.
            **kwargs: As for the class.
        """
        length = check_epoch_length(by_epoch, epoch_length)
        return super().build_iter_from_epoch(
            *args,
            total_steps=None if total_steps is None else in_iterations(total_steps, length),
            begin=begin,
            end=end,
            epoch_length=length,
            **kwargs,
        )


@PARAM_SCHEDULERS.register_module()
class OneCycleLR(LearningRateFace, OneCycleParamScheduler):
    """:class:`OneCycleParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`OneCycleParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = OneCycleLR(optimizer, eta_max=0.5, total_steps=10)
        >>> optimizer.param_groups[0]["lr"]
        0.02
    """
