"""A factor that changes linearly over the interval."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class LinearParamScheduler(_ParamScheduler):
    """Multiply the value by a factor that goes linearly from ``start_factor`` to ``end_factor``.

    ``end_factor`` is reached at the last step of ``[begin, end)``, so that a warm-up over
    ``[0, 100)`` hands the full value on. The same as ``torch.optim.lr_scheduler.LinearLR`` with
    ``total_iters = end - begin - 1``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        start_factor: The factor at ``begin``, in (0, 1].
        end_factor: The factor at the last step, in [0, 1].
        begin: The first step at which it acts.
        end: The first step at which it does not any more.
        last_step: The last step taken, to go on without a state dict.
        by_epoch: Whether it steps once an epoch or once an iteration.
        verbose: Log each new value.

    Raises:
        ValueError: If a factor is out of its range.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = LinearParamScheduler(optimizer, "weight_decay", start_factor=0.5, end=5)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.7500'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor={start_factor} must be over 0 and at most 1")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor={end_factor} must lie between 0 and 1")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = count_steps(begin, end) - 1
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        step, total, start = self.last_step, self.total_iters, self.start_factor
        if total == 0:
            factor = self.end_factor
        elif step == 0:
            factor = start
        else:
            change = self.end_factor - start
            factor = 1.0 + change / (total * start + (step - 1) * change)
        return [value * factor for value in self._current()]


@PARAM_SCHEDULERS.register_module()
class LinearLR(LearningRateFace, LinearParamScheduler):
    """:class:`LinearParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`LinearParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = LinearLR(optimizer, start_factor=0.5, end=5)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.7500'
    """


@PARAM_SCHEDULERS.register_module()
class LinearMomentum(MomentumFace, LinearParamScheduler):
    """:class:`LinearParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`LinearParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = LinearMomentum(optimizer, start_factor=0.5, end=5)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.6000'
    """
