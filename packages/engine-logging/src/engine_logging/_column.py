"""An array that grows at its end and forgets at its front."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Column:
    """The last ``limit`` numbers that were added.

    An element is written once and moved a bounded number of times, so that adding costs the same
    at any length. What ``view`` handed out is never overwritten.

    Args:
        limit: How many numbers are kept.
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
        """Add numbers; the type of the whole becomes what holds all of them."""
        new = new[-self._limit :]
        kept = self.view()[max(len(self) + len(new) - self._limit, 0) :]
        kind = np.result_type(kept, new) if len(kept) else new.dtype
        if self._stop + len(new) > len(self._room) or kind != self._room.dtype:
            self._room = np.empty(2 * (len(kept) + len(new)), dtype=kind)
            self._room[: len(kept)] = kept
            self._start, self._stop = 0, len(kept)
        else:
            self._start = self._stop - len(kept)
        self._room[self._stop : self._stop + len(new)] = new
        self._stop += len(new)
