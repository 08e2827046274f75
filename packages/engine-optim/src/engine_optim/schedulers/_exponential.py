"""Multiply by the same factor at every step."""

from dataclasses import InitVar, field
from typing import Any, Self

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class ExponentialParamScheduler(_ParamScheduler):
    """Multiply the value by ``gamma`` at every step, as `torch.optim.lr_scheduler.ExponentialLR`.

    Args:
        gamma: The factor of each step.
        decay_steps: The number of steps that multiply by ``gamma`` together; each applies its root.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = ExponentialLR(optimizer, gamma=0.95)
    """

    optimizer: Schedulable
    param_name: str
    gamma: float
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False
    decay_steps: InitVar[int] = field(default=1, kw_only=True)

    def __post_init__(self, decay_steps: int) -> None:
        if decay_steps <= 0:
            raise ValueError(f"decay_steps must be positive, got {decay_steps}")
        self.gamma **= 1 / decay_steps
        super().__post_init__()

    def _get_value(self) -> list[Value]:
        if self.last_step == 0:
            return self._current()
        return [value * self.gamma for value in self._current()]

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, epoch_length: int | None = None, **kwargs: Any
    ) -> Self:
        """Build a scheduler that steps at each iteration and decays by ``gamma`` over each epoch.

        MMEngine applies ``gamma`` at each iteration instead, which ends with a rate of 0 within an
        epoch. ``by_epoch=False`` without ``convert_to_iter_based`` does so here, too.

        Args:
            *args: As for the class.
            epoch_length: Iterations per epoch.
            **kwargs: As for `_ParamScheduler.build_iter_from_epoch`.
        """
        return super().build_iter_from_epoch(
            *args, epoch_length=epoch_length, decay_steps=epoch_length, **kwargs
        )


@schedule
class ExponentialLR(LRSchedulerMixin, ExponentialParamScheduler):
    """Schedule the learning rate: see `ExponentialParamScheduler`."""


@schedule
class ExponentialMomentum(MomentumSchedulerMixin, ExponentialParamScheduler):
    """Schedule the momentum: see `ExponentialParamScheduler`."""
