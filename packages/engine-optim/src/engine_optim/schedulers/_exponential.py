"""The same factor at every step."""

from typing import Any, Self

from engine_optim.schedulers._base import (
    INF,
    Schedulable,
    Value,
    _ParamScheduler,
    check_epoch_length,
)
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class ExponentialParamScheduler(_ParamScheduler):
    """Multiply the value by ``gamma`` at every step: ``torch.optim.lr_scheduler.ExponentialLR``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        gamma: The factor of each step.
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.
        decay_steps: Over how many steps ``gamma`` is spread: each multiplies by its root.

    Raises:
        ValueError: If ``decay_steps`` is not positive.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = ExponentialParamScheduler(optimizer, "weight_decay", gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.1250'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        gamma: float,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
        *,
        decay_steps: int = 1,
    ) -> None:
        if decay_steps <= 0:
            raise ValueError(f"decay_steps={decay_steps} must be positive")
        self.gamma = gamma ** (1 / decay_steps)
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        if self.last_step == 0:
            return self._current()
        return [value * self.gamma for value in self._current()]

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a scheduler that steps at each iteration and decays by ``gamma`` over each epoch.

        Args:
            *args: As for the class.
            begin: The first epoch at which it acts.
            end: The first epoch at which it does not.
            by_epoch: Must be true: the settings count epochs.
            epoch_length: Iterations in an epoch.
            **kwargs: As for the class.
        """
        length = check_epoch_length(by_epoch, epoch_length)
        return super().build_iter_from_epoch(
            *args, begin=begin, end=end, epoch_length=length, decay_steps=length, **kwargs
        )


@PARAM_SCHEDULERS.register_module()
class ExponentialLR(LearningRateFace, ExponentialParamScheduler):
    """:class:`ExponentialParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`ExponentialParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = ExponentialLR(optimizer, gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.1250'
    """


@PARAM_SCHEDULERS.register_module()
class ExponentialMomentum(MomentumFace, ExponentialParamScheduler):
    """:class:`ExponentialParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`ExponentialParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = ExponentialMomentum(optimizer, gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.1000'
    """
