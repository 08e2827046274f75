"""A factor that holds until the interval ends."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class ConstantParamScheduler(_ParamScheduler):
    """Multiply the value by a factor at ``begin`` and take it back at the interval's last step.

    The same as ``torch.optim.lr_scheduler.ConstantLR`` with ``total_iters = end - begin - 1``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        factor: What the value is multiplied by, in [0, 1].
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If ``factor`` is out of its range.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = ConstantParamScheduler(optimizer, "weight_decay", factor=0.5, end=4)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.5000'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        factor: float = 1.0 / 3,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"factor={factor} must lie between 0 and 1")
        self.factor = factor
        self.total_iters = count_steps(begin, end) - 1
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        values = self._current()
        if self.total_iters == 0:
            return values
        if self.last_step == 0:
            return [value * self.factor for value in values]
        if self.last_step != self.total_iters:
            return values
        if self.factor == 0:
            return list(self.base_values)
        return [value * (1.0 / self.factor) for value in values]


@PARAM_SCHEDULERS.register_module()
class ConstantLR(LearningRateFace, ConstantParamScheduler):
    """:class:`ConstantParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`ConstantParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = ConstantLR(optimizer, factor=0.5, end=4)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.5000'
    """


@PARAM_SCHEDULERS.register_module()
class ConstantMomentum(MomentumFace, ConstantParamScheduler):
    """:class:`ConstantParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`ConstantParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = ConstantMomentum(optimizer, factor=0.5, end=4)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.4000'
    """
