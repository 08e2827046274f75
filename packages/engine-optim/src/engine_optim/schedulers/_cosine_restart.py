"""Half cosines one after another, each from the top."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Self

from engine_optim.schedulers._base import (
    INF,
    Schedulable,
    Value,
    _ParamScheduler,
    check_epoch_length,
    in_iterations,
)
from engine_optim.schedulers._cosine import lowest_value, lowest_values
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class CosineRestartParamScheduler(_ParamScheduler):
    """Follow a half cosine to the lowest value in each period and restart from the top at the next.

    After the last period the value stays at the lowest. Values do not depend on what the groups
    hold: it does not chain. With equal weights the same as
    ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` whose periods are given
    (SGDR, https://arxiv.org/abs/1608.03983).

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        periods: The steps of each period.
        restart_weights: How high each period starts, as a part of the way from the lowest to the
            initial value; one weight serves all periods.
        eta_min: The lowest value; 0 if left out.
        eta_min_ratio: The lowest value as a part of the initial one, instead of ``eta_min``.
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If periods are not positive, or their number is not that of the weights.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = CosineRestartParamScheduler(
        ...     optimizer, "weight_decay", periods=[2, 4], restart_weights=[1, 0.5]
        ... )
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.2500'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        periods: Sequence[int],
        restart_weights: Sequence[float] = (1,),
        eta_min: float | None = None,
        eta_min_ratio: float | None = None,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not periods or min(periods) <= 0:
            raise ValueError(f"periods={list(periods)} must be positive, and one at least")
        weights = list(restart_weights)
        if len(weights) not in (1, len(periods)):
            raise ValueError(
                f"{len(weights)} restart_weights for {len(periods)} periods; give one "
                "for each period, or one for all"
            )
        self.periods = list(periods)
        self.restart_weights = weights if len(weights) > 1 else weights * len(periods)
        self.starts = [0, *accumulate(periods)]
        self.eta_min, self.eta_min_ratio = lowest_value(eta_min, eta_min_ratio)
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        index = min(bisect_right(self.starts, self.last_step), len(self.periods)) - 1
        done = min((self.last_step - self.starts[index]) / self.periods[index], 1.0)
        part = self.restart_weights[index] * (1 + math.cos(math.pi * done)) / 2
        low = self.eta_min
        if low is not None:
            return [low + (base - low) * part for base in self.base_values]
        lows = lowest_values(self.base_values, self.eta_min, self.eta_min_ratio)
        return [low + (base - low) * part for base, low in zip(self.base_values, lows, strict=True)]

    @classmethod
    def build_iter_from_epoch(  # type: ignore[override]  # periods have no default here either
        cls,
        *args: Any,
        periods: Sequence[int],
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a scheduler that steps at each iteration from settings that count epochs.

        Args:
            *args: As for the class.
            periods: The epochs of each period.
            begin: The first epoch at which it acts.
            end: The first epoch at which it does not.
            by_epoch: Must be true: the settings count epochs.
            epoch_length: Iterations in an epoch.
            **kwargs: As for the class.
        """
        length = check_epoch_length(by_epoch, epoch_length)
        return super().build_iter_from_epoch(
            *args,
            periods=[in_iterations(period, length) for period in periods],
            begin=begin,
            end=end,
            epoch_length=length,
            **kwargs,
        )


@PARAM_SCHEDULERS.register_module()
class CosineRestartLR(LearningRateFace, CosineRestartParamScheduler):
    """:class:`CosineRestartParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`CosineRestartParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = CosineRestartLR(optimizer, periods=[2, 4], restart_weights=[1, 0.5])
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.2500'
    """


@PARAM_SCHEDULERS.register_module()
class CosineRestartMomentum(MomentumFace, CosineRestartParamScheduler):
    """:class:`CosineRestartParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`CosineRestartParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = CosineRestartMomentum(optimizer, periods=[2, 4], restart_weights=[1, 0.5])
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.2000'
    """
