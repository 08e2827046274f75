"""A polynomial decay over the interval."""

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler, count_steps
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class PolyParamScheduler(_ParamScheduler):
    """Decay the value to ``eta_min`` as a power of the part of the interval that is left.

    ``eta_min`` is reached at the last step of ``[begin, end)``. With ``eta_min=0`` the same as
    ``torch.optim.lr_scheduler.PolynomialLR`` with ``total_iters = end - begin - 1``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        eta_min: The value at the last step.
        power: The exponent; 1 is a straight line.
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
        >>> scheduler = PolyParamScheduler(optimizer, "weight_decay", eta_min=0.2, end=5)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['weight_decay']:.4f}"
        '0.6000'
    """

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        eta_min: float = 0,
        power: float = 1.0,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.eta_min = eta_min
        self.power = power
        self.total_iters = count_steps(begin, end) - 1
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Value]:
        step, total, low = self.last_step, self.total_iters, self.eta_min
        if step == 0:
            return self._current()
        # The part left now over the part left one step before.
        decay = ((total - step) / (total - step + 1)) ** self.power
        return [(value - low) * decay + low for value in self._current()]


@PARAM_SCHEDULERS.register_module()
class PolyLR(LearningRateFace, PolyParamScheduler):
    """:class:`PolyParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`PolyParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = PolyLR(optimizer, eta_min=0.2, end=5)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['lr']:.4f}"
        '0.6000'
    """


@PARAM_SCHEDULERS.register_module()
class PolyMomentum(MomentumFace, PolyParamScheduler):
    """:class:`PolyParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`PolyParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = PolyMomentum(optimizer, eta_min=0.2, end=5)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> f"{optimizer.param_groups[0]['momentum']:.4f}"
        '0.5000'
    """
