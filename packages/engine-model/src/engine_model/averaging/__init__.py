"""Average the parameters of a model over its updates."""

from engine_model.averaging._base import BaseAveragedModel
from engine_model.averaging._interpolated import (
    ExponentialMovingAverage,
    InterpolatedAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)

__all__ = [
    "BaseAveragedModel",
    "ExponentialMovingAverage",
    "InterpolatedAverage",
    "MomentumAnnealingEMA",
    "StochasticWeightAverage",
]
