"""Average the parameters of a model over its updates."""

from engine_model.averaging._base import BaseAveragedModel
from engine_model.averaging._interpolated import (
    ExponentialMovingAverage,
    InterpolatedAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from engine_model.averaging._statistics import batch_norms, update_batch_norms

__all__ = [
    "BaseAveragedModel",
    "ExponentialMovingAverage",
    "InterpolatedAverage",
    "MomentumAnnealingEMA",
    "StochasticWeightAverage",
    "batch_norms",
    "update_batch_norms",
]
