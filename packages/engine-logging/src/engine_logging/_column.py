"""Store the most recent numbers in an array that grows in amortized constant time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_PLAIN = {float, int}
_DTYPES = (np.dtype(np.float64), np.dtype(np.int64))


def as_numbers(values: Sequence[Any]) -> Array | None:
    """Return Python numbers, or an array of such, at once as an array of shape ``(N,)``.

    A million values one by one take seconds. The result is None for values that must be checked one
    by one, and for none at all.

    Args:
        values: Any values.
    """
    if not len(values) or not (isinstance(values, np.ndarray) or set(map(type, values)) <= _PLAIN):
        return None
    array = np.asarray(values)
    return array if array.ndim == 1 and array.dtype in _DTYPES else None


class Column:
    """The last ``limit`` numbers that were added.

    Adding takes amortized constant time: each number is moved a bounded number of times. Arrays
    that `view` returned are never overwritten.

    Args:
        limit: The maximum number of numbers to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room: Array = np.empty(0)
        self._start = self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._start

    def view(self) -> Array:
        """Return the numbers as a read-only array, oldest first."""
        view = self._room[self._start : self._stop]
        view.flags.writeable = False
        return view

    def extend(self, new: Array) -> None:
        """Add numbers; the dtype is promoted to one that holds the old and the new numbers."""
        new = new[-self._limit :]
        kept = self.view()[max(len(self) + len(new) - self._limit, 0) :]
        kind = new.dtype
        if len(kept) and kept.dtype != kind:
            kind = np.result_type(kept, new)
        if self._stop + len(new) > len(self._room) or kind != self._room.dtype:
            # Allocate twice the needed size, so that moves become rarer as the column grows.
            # Allocate a new array, because older views must keep their numbers.
            self._room = np.empty(2 * (len(kept) + len(new)), dtype=kind)
            self._room[: len(kept)] = kept
            self._start, self._stop = 0, len(kept)
        else:
            # Drop the oldest numbers by moving the start; nothing is copied.
            self._start = self._stop - len(kept)
        self._room[self._stop : self._stop + len(new)] = new
        self._stop += len(new)
