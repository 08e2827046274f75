"""A factor at given steps."""

from collections import Counter
from collections.abc import Iterable
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


@PARAM_SCHEDULERS.register_module()
class MultiStepParamScheduler(_ParamScheduler):
    """Multiply the value by ``gamma`` at each milestone: ``torch.optim.lr_scheduler.MultiStepLR``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        milestones: The steps of the changes, counted from ``begin``.
        gamma: The factor of each change.
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If the interval is empty.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = MultiStepParamScheduler(
        ...     optimizer, "weight_decay", milestones=[1, 3], gamma=0.5
        ... )
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.2500'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_step: int = -1,
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        # A milestone given twice decays twice. A plain dict: state dicts hold no other classes.
        self.milestones = dict(Counter(_whole_steps(milestones)))
        self.gamma = gamma
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        if self.last_step not in self.milestones:
            return self._current()
        factor = self.gamma ** self.milestones[self.last_step]
        return [value * factor for value in self._current()]

    @classmethod
    def build_iter_from_epoch(  # type: ignore[override]  # milestones have no default here either
        cls,
        *args: Any,
        milestones: Iterable[int],
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a scheduler that steps at each iteration from settings that count epochs.

        Args:
            *args: As for the class.
            milestones: The epochs of the changes, counted from ``begin``.
            begin: The first epoch at which it acts.
            end: The first epoch at which it does not.
            by_epoch: Must be true: the settings count epochs.
            epoch_length: Iterations in an epoch.
            **kwargs: As for the class.
        """
        length = check_epoch_length(by_epoch, epoch_length)
        return super().build_iter_from_epoch(
            *args,
            milestones=[in_iterations(epoch, length) for epoch in milestones],
            begin=begin,
            end=end,
            epoch_length=length,
            **kwargs,
        )


def _whole_steps(milestones: Any) -> list[int]:
    """Check milestones: a fraction would never be met, and change nothing without a word."""
    given = list(milestones) if isinstance(milestones, Iterable) else [milestones]
    if not isinstance(milestones, Iterable) or any(step != int(step) for step in given):
        raise ValueError(f"milestones={milestones!r} must be a list of whole numbers of steps")
    return [int(step) for step in given]


@PARAM_SCHEDULERS.register_module()
class MultiStepLR(LearningRateFace, MultiStepParamScheduler):
    """:class:`MultiStepParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`MultiStepParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.2500'
    """


@PARAM_SCHEDULERS.register_module()
class MultiStepMomentum(MomentumFace, MultiStepParamScheduler):
    """:class:`MultiStepParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`MultiStepParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = MultiStepMomentum(optimizer, milestones=[1, 3], gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.2000'
    """
