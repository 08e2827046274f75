"""Compute averages as ``average + weight * (source - average)``."""

import logging
from abc import abstractmethod

import torch
from torch import Tensor, nn

from engine_model.averaging._base import BaseAveragedModel
from engine_registry import MODELS

logger = logging.getLogger("engine.model")


class InterpolatedAverage(BaseAveragedModel):
    """Interpolate between the average and the new value, by a weight that a subclass returns.

    One multi-tensor operation per device and data type updates all parameters.

    Example:
        >>> class Halving(InterpolatedAverage):
        ...     def weight(self, steps):
        ...         return 0.5**steps
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = Halving(model)
        >>> for value in (0.0, 4.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> average.module.weight.item()
        2.0
    """

    @abstractmethod
    def weight(self, steps: int) -> float:
        """Return the weight of the new value, in (0, 1].

        Args:
            steps: The number of earlier calls of `update_parameters`.
        """

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Move one average towards the new value, in place.

        Args:
            averaged_param: The current average.
            source_param: The new value, with the same device and data type.
            steps: The number of earlier calls of `update_parameters`.
        """
        averaged_param.lerp_(source_param, self.weight(steps))

    def average_tensors(self, averages: list[Tensor], sources: list[Tensor], steps: int) -> None:
        """Move several averages towards the new values, in place.

        Args:
            averages: The current averages.
            sources: The new values, in the same order.
            steps: The number of earlier calls of `update_parameters`.
        """
        # A subclass may override the documented `avg_func`, which updates one tensor at a time.
        if type(self).avg_func is not InterpolatedAverage.avg_func:
            super().average_tensors(averages, sources, steps)
            return
        torch._foreach_lerp_(averages, sources, self.weight(steps))


@MODELS.register_module()
class ExponentialMovingAverage(InterpolatedAverage):
    """Average exponentially: ``(1 - momentum) * average + momentum * source``.

    ``momentum`` is the weight of the new value, so it is usually small.

    Args:
        model: The model to copy.
        momentum: The weight of the new value, in (0, 1).
        interval: The number of calls of `update_parameters` per average.
        device: The device of the copy; by default that of the model.
        update_buffers: Whether to average floating-point buffers too.
        warmup_steps: The number of calls in which the weight of the new value decreases linearly
            from 1 to ``momentum``. So the first, untrained values have little weight.

    Raises:
        ValueError: ``momentum`` is not in (0, 1) or ``warmup_steps`` is negative.

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
            raise ValueError(f"momentum must be strictly between 0 and 1, got {momentum}")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must be an integer >= 0, got {warmup_steps}")
        if momentum > 0.5:
            logger.warning(
                "momentum should be at most 0.5, got %s: it is the weight of the new value; did "
                "you mean %s?",
                momentum,
                round(1 - momentum, 12),  # 1 - 0.9 is 0.09999999999999998
            )
        self.momentum = momentum
        self.warmup_steps = warmup_steps

    def weight(self, steps: int) -> float:
        """Return the weight of the new value.

        Args:
            steps: The number of earlier calls of `update_parameters`.
        """
        if steps >= self.warmup_steps:
            return self.momentum
        return 1 - (1 - self.momentum) * steps / self.warmup_steps


@MODELS.register_module()
class MomentumAnnealingEMA(ExponentialMovingAverage):
    """Average exponentially with the momentum ``max(momentum, gamma / (gamma + steps))``.

    Args:
        model: The model to copy.
        momentum: The lower bound of the weight of the new value, in (0, 1).
        gamma: The number of calls after which the weight is one half.
        interval: The number of calls of `update_parameters` per average.
        device: The device of the copy; by default that of the model.
        update_buffers: Whether to average floating-point buffers too.

    Raises:
        ValueError: ``momentum`` is not in (0, 1) or ``gamma`` is not positive.

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
            raise ValueError(f"gamma must be positive, got {gamma}")
        self.gamma = gamma

    def weight(self, steps: int) -> float:
        """Return the weight of the new value.

        Args:
            steps: The number of earlier calls of `update_parameters`.
        """
        return max(self.momentum, self.gamma / (self.gamma + steps))


@MODELS.register_module()
class StochasticWeightAverage(InterpolatedAverage):
    """Compute the mean of all averaged models (stochastic weight averaging).

    The method is from Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", UAI 2018.

    Args:
        model: The model to copy.
        interval: The number of calls of `update_parameters` per average.
        device: The device of the copy; by default that of the model.
        update_buffers: Whether to average floating-point buffers too.

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
            steps: The number of earlier calls of `update_parameters`.
        """
        return 1 / (steps // self.interval + 1)
