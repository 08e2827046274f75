"""A factor every so many steps."""

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
class StepParamScheduler(_ParamScheduler):
    """Multiply the value by ``gamma`` every ``step_size`` steps: torch's ``StepLR``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        step_size: Steps between two changes.
        gamma: The factor of each change.
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If ``step_size`` is not positive.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = StepParamScheduler(optimizer, "weight_decay", step_size=2, gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.5000'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        step_size: int,
        gamma: float = 0.1,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if step_size <= 0:
            raise ValueError(f"step_size={step_size} must be positive")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        if self.last_step == 0 or self.last_step % self.step_size:
            return self._current()
        return [value * self.gamma for value in self._current()]

    @classmethod
    def build_iter_from_epoch(  # type: ignore[override]  # step_size has no default here either
        cls,
        *args: Any,
        step_size: int,
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a scheduler that steps at each iteration from settings that count epochs.

        Args:
            *args: As for the class.
            step_size: Epochs between two changes.
            begin: The first epoch at which it acts.
            end: The first epoch at which it does not.
            by_epoch: Must be true: the settings count epochs.
            epoch_length: Iterations in an epoch.
            **kwargs: As for the class.
        """
        length = check_epoch_length(by_epoch, epoch_length)
        return super().build_iter_from_epoch(
            *args,
            step_size=in_iterations(step_size, length),
            begin=begin,
            end=end,
            epoch_length=length,
            **kwargs,
        )


@PARAM_SCHEDULERS.register_module()
class StepLR(LearningRateFace, StepParamScheduler):
    """:class:`StepParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`StepParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.5000'
    """


@PARAM_SCHEDULERS.register_module()
class StepMomentum(MomentumFace, StepParamScheduler):
    """:class:`StepParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`StepParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = StepMomentum(optimizer, step_size=2, gamma=0.5)
        >>> for _ in range(3):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.4000'
    """
