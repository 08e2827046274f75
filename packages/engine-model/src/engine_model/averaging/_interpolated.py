"""Averages of the form ``average + weight * (source - average)``."""

import logging
from abc import abstractmethod

import torch
from torch import Tensor, nn

from engine_model.averaging._base import BaseAveragedModel
from engine_registry import MODELS

logger = logging.getLogger("engine.model")


class InterpolatedAverage(BaseAveragedModel):
    """An average that a weight moves towards the new value; a subclass says how far.

    All parameters are updated by one multi-tensor operation for each device and type.

    Example:
        >>> class Halving(InterpolatedAverage):
        ...     def weight(self, steps):
        ...         return 0.5**steps
        >>> Halving(nn.Linear(1, 1)).weight(3)
        0.125
    """

    @abstractmethod
    def weight(self, steps: int) -> float:
        """Return the weight of the new value, in (0, 1].

        Args:
            steps: How often `update_parameters` was called before.
        """

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Move one average towards the new value, in place.

        Args:
            averaged_param: The average so far.
            source_param: The new value, on the same device and of the same type.
            steps: How often `update_parameters` was called before.
        """
        averaged_param.lerp_(source_param, self.weight(steps))

    def average_tensors(self, averages: list[Tensor], sources: list[Tensor], steps: int) -> None:
        """Move several averages towards the new values, in place.

        Args:
            averages: The averages so far.
            sources: The new values, in the same order.
            steps: How often `update_parameters` was called before.
        """
        if type(self).avg_func is not InterpolatedAverage.avg_func:  # a subclass has its own
            super().average_tensors(averages, sources, steps)
            return
        torch._foreach_lerp_(averages, sources, self.weight(steps))


@MODELS.register_module()
class ExponentialMovingAverage(InterpolatedAverage):
    """The exponential moving average: ``(1 - momentum) * average + momentum * source``.

    Note that ``momentum`` is the weight of the new value, and small.

    Args:
        model: The model to copy.
        momentum: The weight of the new value, in (0, 1).
        interval: How many calls of `update_parameters` there are to one average.
        device: Where to keep the copy; by default where the model is.
        update_buffers: Whether floating-point buffers are averaged as parameters are.
        warmup_steps: Over how many calls the weight of the average so far grows, linearly from 0 to
            ``1 - momentum``, so that the average forgets the first, untrained values.

    Raises:
        ValueError: If ``momentum`` is not in (0, 1) or ``warmup_steps`` is negative.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = ExponentialMovingAverage(model, momentum=0.25)
        >>> for value in (0.0, 4.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> average.module.weight.item()
        1.0
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
        *,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__(model, interval, device, update_buffers)
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must lie strictly between 0 and 1, not {momentum}")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must not be negative, but is {warmup_steps}")
        if momentum > 0.5:
            logger.warning(
                "momentum %s is the weight of the new value: an average hardly averages above 0.5. "
                "Did you mean %s?",
                momentum,
                round(1 - momentum, 12),
            )
        self.momentum = momentum
        self.warmup_steps = warmup_steps

    def weight(self, steps: int) -> float:
        """Return the weight of the new value.

        Args:
            steps: How often `update_parameters` was called before.
        """
        if steps >= self.warmup_steps:
            return self.momentum
        return 1 - (1 - self.momentum) * steps / self.warmup_steps


@MODELS.register_module()
class MomentumAnnealingEMA(ExponentialMovingAverage):
    """An exponential moving average whose momentum is ``max(momentum, gamma / (gamma + steps))``.

    Args:
        model: The model to copy.
        momentum: The least weight of the new value, in (0, 1).
        gamma: How slowly the momentum falls: after ``gamma`` calls it is one half.
        interval: How many calls of `update_parameters` there are to one average.
        device: Where to keep the copy; by default where the model is.
        update_buffers: Whether floating-point buffers are averaged as parameters are.

    Raises:
        ValueError: If ``momentum`` is not in (0, 1) or ``gamma`` is not positive.

    Example:
        >>> average = MomentumAnnealingEMA(nn.Linear(1, 1), gamma=100)
        >>> average.weight(0), average.weight(100), average.weight(10**9)
        (1.0, 0.5, 0.0002)
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        gamma: int = 100,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, momentum, interval, device, update_buffers)
        if gamma <= 0:
            raise ValueError(f"gamma must be positive, not {gamma}")
        self.gamma = gamma

    def weight(self, steps: int) -> float:
        """Return the weight of the new value.

        Args:
            steps: How often `update_parameters` was called before.
        """
        return max(self.momentum, self.gamma / (self.gamma + steps))


@MODELS.register_module()
class StochasticWeightAverage(InterpolatedAverage):
    """Stochastic weight averaging: the plain mean of all models taken in.

    The method is that of Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", UAI 2018.

    Args:
        model: The model to copy.
        interval: How many calls of `update_parameters` there are to one model taken in.
        device: Where to keep the copy; by default where the model is.
        update_buffers: Whether floating-point buffers are averaged as parameters are.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = StochasticWeightAverage(model)
        >>> for value in (1.0, 2.0, 6.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> average.module.weight.item()
        3.0
    """

    def weight(self, steps: int) -> float:
        """Return the weight of the new value.

        Args:
            steps: How often `update_parameters` was called before.
        """
        return 1 / (steps // self.interval + 1)
