"""An array that grows at its end and drops its oldest numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Column:
    """The last ``limit`` numbers that were added.

    An element is written once and moved a bounded number of times, so adding costs the same at any
    length. Arrays that `view` returned are never overwritten.

    Args:
        limit: The most numbers that are kept.
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
        """Add numbers; the dtype becomes the smallest that holds all of them."""
        new = new[-self._limit :]
        kept = self.view()[max(len(self) + len(new) - self._limit, 0) :]
        kind = np.result_type(kept, new) if len(kept) else new.dtype
        if self._stop + len(new) > len(self._room) or kind != self._room.dtype:
            # Twice the room needed: moves become rarer as the column grows. A new array, as older
            # views must keep their numbers.
            self._room = np.empty(2 * (len(kept) + len(new)), dtype=kind)
            self._room[: len(kept)] = kept
            self._start, self._stop = 0, len(kept)
        else:
            # Dropping the oldest moves the start only.
            self._start = self._stop - len(kept)
        self._room[self._stop : self._stop + len(new)] = new
        self._stop += len(new)
