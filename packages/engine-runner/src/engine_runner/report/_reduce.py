"""Reduce a curve to as many points as a picture can show, with every spike."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def reduced(steps: Array, values: Array, buckets: int) -> tuple[Array, Array]:
    """Return at most four points per bucket: first, last, least and greatest, in their order.

    Args:
        steps: The steps, ``(N,)``.
        values: The values, ``(N,)``, which may have NaN.
        buckets: The number of buckets of equally many points.

    Example:
        >>> steps, values = reduced(np.arange(100.0), np.eye(100)[37], 2)
        >>> steps.astype(int).tolist()
        [0, 37, 49, 50, 99]
    """
    count = len(steps)
    if count <= buckets * 4:
        return steps, values
    edges = np.linspace(0, count, buckets + 1).astype(int)
    chosen: set[int] = set()
    for start, stop in pairwise(edges):
        part = values[start:stop]
        chosen.update((int(start), int(stop) - 1))
        if not np.isnan(part).all():
            chosen.update((int(start + np.nanargmin(part)), int(start + np.nanargmax(part))))
    places = np.array(sorted(chosen))
    return steps[places], values[places]
