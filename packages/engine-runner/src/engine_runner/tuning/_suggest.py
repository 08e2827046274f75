"""Smooth the losses of a search, and suggest a rate."""

import math
from collections.abc import Sequence

import numpy as np

_FEWEST = 5


def smoothed(losses: Sequence[float], width: float) -> list[float]:
    """Return the losses, each averaged with its neighbours under a Gaussian weight.

    Unlike an exponential average it looks both ways, so that no feature moves to higher rates.

    Args:
        losses: The losses in order.
        width: The standard deviation of the weight, as a share of the number of losses.

    Example:
        >>> [round(value, 2) for value in smoothed([0.0, 0.0, 1.0, 0.0, 0.0], 0.2)]
        [0.08, 0.26, 0.4, 0.26, 0.08]
    """
    values = np.asarray(losses, dtype=np.float64)
    places = np.arange(len(values))
    deviation = max(width * len(values), 1e-6)
    weights = np.exp(-0.5 * ((places[:, None] - places[None]) / deviation) ** 2)
    averaged: list[float] = ((weights @ values) / weights.sum(axis=1)).tolist()
    return averaged


def suggested_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the rate at which a smoothed loss falls fastest, or None if it does not fall.

    The slope is that over the logarithm of the rate, up to the least loss. At the rate of the least
    loss itself, updates no longer help (Smith, "Cyclical Learning Rates for Training Neural
    Networks", arXiv:1506.01186, section 3.3).

    Args:
        rates: The rates, in rising order.
        losses: The smoothed loss at each rate.

    Example:
        >>> suggested_rate([0.001, 0.01, 0.1, 1.0, 10.0], [3.0, 2.9, 2.0, 1.8, 9.0])
        0.1
    """
    end = int(np.argmin(losses)) + 1 if len(losses) else 0
    if len(losses) < _FEWEST or end < 2:
        return None
    slopes = np.gradient(np.asarray(losses, dtype=np.float64), np.log(rates))[:end]
    steepest = int(np.argmin(slopes))
    return (
        float(rates[steepest]) if slopes[steepest] < 0 and math.isfinite(slopes[steepest]) else None
    )
