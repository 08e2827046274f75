"""A half cosine from the initial value to the lowest."""

import math
from typing import Any, Self

from engine_optim.schedulers._base import (
    INF,
    Schedulable,
    Value,
    _ParamScheduler,
    check_epoch_length,
    in_iterations,
)
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS

# How near to the turn (in periods) counts as the turn: a fractional T_max hits it inexactly.
_TURN = 1e-7


def lowest_value(
    eta_min: float | None, eta_min_ratio: float | None
) -> tuple[float | None, float | None]:
    """Return the lowest value or its ratio, the other one ``None``; 0 if neither is given."""
    if eta_min is not None and eta_min_ratio is not None:
        raise ValueError(
            f"eta_min={eta_min} and eta_min_ratio={eta_min_ratio} both say the lowest value; "
            "give one"
        )
    return (0.0, None) if eta_min is None and eta_min_ratio is None else (eta_min, eta_min_ratio)


def lowest_values(
    bases: list[Value], eta_min: float | None, eta_min_ratio: float | None
) -> list[Value]:
    """The lowest value of each group."""
    if eta_min_ratio is not None:
        return [base * eta_min_ratio for base in bases]
    return [eta_min or 0.0] * len(bases)


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingParamScheduler(_ParamScheduler):
    """Follow a half cosine to the lowest value in ``T_max`` steps, and back in the next ``T_max``.

    The same as ``torch.optim.lr_scheduler.CosineAnnealingLR``. Each value is derived from the one
    before, so that it chains; on its own it is ``low + (initial - low) * (1 + cos(pi *
    step / T_max)) / 2`` (SGDR, https://arxiv.org/abs/1608.03983, without the restarts).

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        T_max: Steps from the highest value to the lowest. ``end - begin`` if left out.
        eta_min: The lowest value; 0 if left out.
        eta_min_ratio: The lowest value as a part of the initial one, instead of ``eta_min``.
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If ``T_max`` is not positive, or both forms of the lowest value are given.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = CosineAnnealingParamScheduler(
        ...     optimizer, "weight_decay", T_max=4, eta_min=0.2
        ... )
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.6000'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        T_max: float | None = None,  # noqa: N803  # the name in the paper and in torch
        eta_min: float | None = None,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
        eta_min_ratio: float | None = None,
    ) -> None:
        self.T_max = end - begin if T_max is None else T_max
        if self.T_max <= 0:
            raise ValueError(f"T_max={T_max} must be positive")
        self.eta_min, self.eta_min_ratio = lowest_value(eta_min, eta_min_ratio)
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        step, period, values = self.last_step, self.T_max, self._current()
        if step == 0:
            return values
        phase = (step - 1) / period % 2
        if abs(phase - 1) < _TURN:
            return self._turned(values)
        ratio = (1 + math.cos(math.pi * step / period)) / (1 + math.cos(math.pi * phase))
        low = self.eta_min
        if low is not None:
            return [(value - low) * ratio + low for value in values]
        lows = lowest_values(self.base_values, None, self.eta_min_ratio)
        return [(value - low) * ratio + low for value, low in zip(values, lows, strict=True)]

    def _turned(self, values: list[Value]) -> list[Value]:
        """The values one step after the turn: up by what the first step went down."""
        rise = (1 - math.cos(math.pi / self.T_max)) / 2
        lows = lowest_values(self.base_values, self.eta_min, self.eta_min_ratio)
        return [
            value + (base - low) * rise
            for value, base, low in zip(values, self.base_values, lows, strict=True)
        ]

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        T_max: float | None = None,  # noqa: N803  # the name in the paper and in torch
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a scheduler that steps at each iteration from settings that count epochs.

        Args:
            *args: As for the class.
            T_max: Epochs from the highest value to the lowest.
            begin: The first epoch at which it acts.
            end: The first epoch at which it does not.
            by_epoch: Must be true: the settings count epochs.
            epoch_length: Iterations in an epoch.
            **kwargs: As for the class.
        """
        length = check_epoch_length(by_epoch, epoch_length)
        return super().build_iter_from_epoch(
            *args,
            T_max=None if T_max is None else in_iterations(T_max, length),
            begin=begin,
            end=end,
            epoch_length=length,
            **kwargs,
        )


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingLR(LearningRateFace, CosineAnnealingParamScheduler):
    """:class:`CosineAnnealingParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`CosineAnnealingParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = CosineAnnealingLR(optimizer, T_max=4, eta_min=0.2)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.6000'
    """


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingMomentum(MomentumFace, CosineAnnealingParamScheduler):
    """:class:`CosineAnnealingParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`CosineAnnealingParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = CosineAnnealingMomentum(optimizer, T_max=4, eta_min=0.2)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.5000'
    """
