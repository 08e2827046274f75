"""Choose records by their number or by their positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Indices = int | Sequence[int]


def positions_of(indices: Indices, size: int) -> slice | list[int]:
    """Return the positions that ``indices`` choose among ``size`` records.

    Args:
        indices: ``n`` for the first ``n``, ``-n`` for the last ``n``, or a sequence of positions.
        size: The number of records.

    Raises:
        TypeError: ``indices`` is neither an integer nor a sequence of integers.
        IndexError: A position is outside the records.
    """
    if isinstance(indices, int):
        return slice(None, indices) if indices >= 0 else slice(indices, None)
    positions = np.asarray(indices)
    if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
        raise TypeError(
            f"indices must be an integer or a sequence of integers, got "
            f"{type(indices).__name__}: {indices!r}"
        )
    outside = positions[(positions < -size) | (positions >= size)]
    if outside.size:
        raise IndexError(
            f"indices must be within the {size} samples of the dataset, got {outside[0]}"
        )
    return [int(position) for position in positions]


def pick(records: list[Any], indices: Indices) -> list[Any]:
    """Return the chosen records of a list."""
    positions = positions_of(indices, len(records))
    if isinstance(positions, slice):
        return records[positions]
    return [records[position] for position in positions]
