"""Store the history of one scalar, and compute statistics over its last values."""

import math
import operator
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, ClassVar, TypeVar
from weakref import ReferenceType

import numpy as np

from engine_logging._column import Array, Column, as_numbers
from engine_logging._tensors import is_tensor, read_tensors, scalar

_Method = TypeVar("_Method", bound=Callable[..., Any])

# The maximum number of values that wait in a list before they are moved into the array. It bounds
# the number of tensors that are kept. It also spreads the cost of a move: about 50 ns per value.
_WAITING = 1024

# One lock for all buffers, because a move may read the tensors of several buffers: with a lock per
# buffer two threads could deadlock. Moves are rare and short. Reentrant, because `data` moves
# values while it holds the lock.
_lock = threading.RLock()

# The sums of at most this many values are exact, so that a resumed history has the same ones.
_EXACT = 1024

_PLAIN = {float, int}
_ONE = np.ones((), dtype=np.int64)


class _Weighted:
    """A waiting value with a count other than 1."""

    __slots__ = ("count", "value")

    def __init__(self, value: Any, count: Any) -> None:
        self.value, self.count = value, count


class HistoryBuffer:
    """The history of a scalar: values, each with a count that is its weight in the mean.

    Adding a value takes a fraction of a microsecond. A tensor is stored unchanged. The next
    statistic reads all waiting tensors from their device in one transfer. Add a copy of a tensor
    that is changed in place later.

    Args:
        log_history: The first values.
        count_history: Their counts, one per value.
        max_length: The maximum number of values to keep; the oldest are dropped first.

    Raises:
        TypeError: A value or count is not a number, or ``max_length`` is not an integer.
        ValueError: The number of counts is not the number of values, or ``max_length`` is less than
            1.

    Example:
        >>> loss = HistoryBuffer([3.0, 2.0], [1, 1])
        >>> loss.update(1.0)
        >>> float(loss.mean()), float(loss.mean(2)), float(loss.current())
        (2.0, 1.5, 1.0)
    """

    _statistics_methods: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self,
        log_history: Sequence[Any] = [],
        count_history: Sequence[Any] = [],
        max_length: int = 1000000,
    ) -> None:
        if len(log_history) != len(count_history):
            raise ValueError(
                "count_history must have one count per value, got "
                f"{len(count_history)} counts for {len(log_history)} values"
            )
        self._max_length = _positive("max_length", max_length)
        if len(log_history) > self._max_length:
            # Printed and not logged, as the manual documents.
            sys.stdout.write(
                f"The length of history buffer({len(log_history)}) exceeds the "
                f"max_length({self._max_length}), the first few elements will be ignored.\n"
            )
        self._values = Column(self._max_length)
        # Stored from the first count on that is not 1: in most histories all are.
        self._counts: Column | None = None
        self._waiting: list[Any] = []
        # The buffers of the same message hub, whose tensors are read together. A weak reference, so
        # that a buffer does not keep its hub alive.
        self._family: ReferenceType[OrderedDict[str, HistoryBuffer]] | None = None
        values, counts = as_numbers(log_history), as_numbers(count_history)
        if values is not None and counts is not None:
            self._extend(values, None if (counts == 1).all() else counts)
            return
        for value, count in zip(log_history, count_history, strict=True):
            self.update(value, count)

    def update(self, log_val: Any, count: Any = 1) -> None:
        """Add a value.

        Args:
            log_val: A number, or a tensor or array of one element.
            count: The weight of the value in the mean; a sum over n samples has the count n.

        Raises:
            TypeError: The value or the count is not a real number.
            ValueError: A tensor or array has more than one element.
        """
        if type(log_val) is not float:
            log_val = scalar(log_val)
        # A count of 1 is the usual case. It is not stored, to save one object per value.
        if not (type(count) is int and count == 1):
            log_val = _Weighted(log_val, _checked_count(count))
        waiting = self._waiting
        # One append for value and count. It is atomic, so that concurrent threads cannot mix them.
        waiting.append(log_val)
        if len(waiting) >= _WAITING:
            self._settle()

    def _settle(self) -> None:
        """Move waiting values into the arrays; tensors of the whole hub are read together."""
        with _lock:
            entries = self._take()
            if not entries or self._stored_plain(entries):
                return
            family = self._family() if self._family is not None else None
            taken = [(self, entries)]
            for other in list((family or {}).values()):
                waiting = other._take()
                if not other._stored_plain(waiting):
                    taken.append((other, waiting))
            _store(taken)

    def _stored_plain(self, entries: list[Any]) -> bool:
        """Store entries that are Python numbers; return false for others, which are left."""
        if not set(map(type, entries)) <= _PLAIN:
            return False
        if entries:
            self._extend(np.array(entries), None)
        return True

    def _extend(self, values: Array, counts: Array | None) -> None:
        """Add values and their counts; None for a count of 1 each."""
        if self._counts is None and counts is not None:
            self._counts = Column(self._max_length)
            self._counts.extend(np.ones(len(self._values), dtype=np.int64))
        self._values.extend(values)
        if self._counts is not None:
            if counts is None:
                counts = np.ones(len(values), dtype=np.int64)
            self._counts.extend(counts)

    def _take(self) -> list[Any]:
        taken = self._waiting[:]
        # Remove only the values that were copied: another thread may append meanwhile.
        del self._waiting[: len(taken)]
        return taken

    @property
    def max_length(self) -> int:
        """The maximum number of values that are kept."""
        return self._max_length

    @property
    def _log_history(self) -> Array:
        return self.data[0]

    @property
    def _count_history(self) -> Array:
        return self.data[1]

    @property
    def data(self) -> tuple[Array, Array]:
        """The values and their counts, two read-only arrays of shape ``(N,)``, oldest first."""
        with _lock:
            if self._waiting:
                self._settle()
            values = self._values.view()
            if self._counts is None:
                return values, np.broadcast_to(_ONE, len(values))  # read-only, of no size
            return values, self._counts.view()

    def recent(self, size: int) -> list[Any]:
        """Return the last values as Python numbers, oldest first; fewer if there are fewer.

        Args:
            size: The maximum number of values, at least 1.
        """
        waiting = self._waiting
        size = min(_positive("size", size), self._max_length)
        with _lock:
            # Most windows are short, and their values still wait: no array is made then.
            if size <= len(waiting):
                found = waiting[-size:]
                if not set(map(type, found)) <= _PLAIN:
                    self._read()
                    found = waiting[-size:]
                if set(map(type, found)) == {float}:
                    return found
            values: list[Any] = self.data[0][-size:].tolist()
            return values

    def _read(self) -> None:
        """Replace the waiting tensors of the whole hub by their numbers, in one transfer."""
        family = self._family() if self._family is not None else None
        buffers = list(family.values()) if family else [self]
        places = [
            (buffer._waiting, index)
            for buffer in buffers
            # Other threads may append, but only a holder of the lock removes or replaces.
            for index, value in enumerate(buffer._waiting[:])
            if type(value) is not float and is_tensor(value)
        ]
        numbers = read_tensors([waiting[index] for waiting, index in places])
        for (waiting, index), number in zip(places, numbers, strict=True):
            waiting[index] = number

    def current(self) -> Any:
        """Return the value added last.

        Raises:
            ValueError: The history is empty.
        """
        self._require_values()
        return self.recent(1)[0]

    def mean(self, window_size: int | None = None) -> Any:
        """Return the sum of the last values divided by the sum of their counts.

        Args:
            window_size: The number of last values; None for all. A larger number than there are
                values means all.

        Raises:
            ValueError: The history is empty, or ``window_size`` is less than 1.
        """
        self._require_values()
        size = len(self) if window_size is None else _positive("window_size", window_size)
        if self._counts is None and min(size, len(self)) <= _EXACT:
            recent = self.recent(size)
            # A count other than 1 may have waited until now.
            if self._counts is None:
                return _sum(recent) / len(recent)
        values, counts = self._last(window_size)
        return values.sum() / (len(values) if self._counts is None else counts.sum())

    def max(self, window_size: int | None = None) -> Any:
        """Return the largest of the last values; arguments and errors as for `mean`."""
        return self._last(window_size)[0].max()

    def min(self, window_size: int | None = None) -> Any:
        """Return the smallest of the last values; arguments and errors as for `mean`."""
        return self._last(window_size)[0].min()

    def _last(self, window_size: int | None) -> tuple[Array, Array]:
        self._require_values()
        values, counts = self.data
        if window_size is None:
            return values, counts
        size = _positive("window_size", window_size)
        return values[-size:], counts[-size:]

    def _require_values(self) -> None:
        if not len(self):
            raise ValueError("this history is empty: add a value with update() first")

    @classmethod
    def register_statistics(cls, method: _Method) -> _Method:
        """Register a function under its name for `statistics`; usable as a decorator.

        Args:
            method: The function, called with the buffer and the arguments of `statistics`. It may
                read ``_log_history`` and ``_count_history``.

        Raises:
            TypeError: ``method`` is not a function.
            ValueError: Another function has that name.
        """
        name = getattr(method, "__name__", None)
        if name is None or not callable(method):
            raise TypeError(f"a statistic must be a function with a name, got {method!r}")
        other = cls._statistics_methods.get(name)
        # The same function may be registered again, when its module is reloaded or a notebook cell
        # runs again.
        if other is not None and _origin(other) != _origin(method):
            raise ValueError(
                f"{name!r} is registered as a statistic already, by {other.__module__}; "
                "give the function another name"
            )
        cls._statistics_methods[name] = method
        return method

    def statistics(self, method_name: str, *arg: Any, **kwargs: Any) -> Any:
        """Call a statistic by name: ``mean``, ``max``, ``min``, ``current`` or a registered one.

        Raises:
            KeyError: No statistic of that name is registered.
        """
        method = self._statistics_methods.get(method_name)
        if method is None:
            raise KeyError(
                f"{method_name!r} is not a registered statistic; there are "
                f"{', '.join(self._statistics_methods)}"
            )
        return method(self, *arg, **kwargs)

    def __len__(self) -> int:
        with _lock:  # a thread that moves values has them in neither place for a moment
            return min(len(self._values) + len(self._waiting), self._max_length)

    # An empty history is true, because code may write `if buffer` to check for None.
    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<HistoryBuffer of {len(self)} values>"

    # A pickle or a copy holds arrays only: waiting tensors are read first, and the hub is left out.
    def __getstate__(self) -> dict[str, Any]:
        values, counts = self.data
        return {
            "log_history": values.copy(),
            "count_history": counts.copy(),
            "max_length": self._max_length,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Files of other libraries have private attributes, which the names without "_" stand for.
        state = {name.lstrip("_"): value for name, value in state.items()}
        self._max_length = state["max_length"]
        self._values, self._counts = Column(self._max_length), None
        counts = np.asarray(state["count_history"])
        self._extend(np.asarray(state["log_history"]), None if (counts == 1).all() else counts)
        self._waiting, self._family = [], None


for _method in (HistoryBuffer.mean, HistoryBuffer.max, HistoryBuffer.min, HistoryBuffer.current):
    HistoryBuffer.register_statistics(_method)


def _positive(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < 1:
        raise ValueError(f"{name} must be >= 1, got {number}")
    return number


def _sum(values: list[Any]) -> Any:
    """Return the sum, rounded once, so that it does not depend on how the values are stored."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # of huge numbers, or of infinities of both signs
        return np.sum(values)


def _origin(method: Callable[..., Any]) -> tuple[str, str]:
    return method.__module__, method.__qualname__


def _checked_count(count: Any) -> Any:
    try:
        return scalar(count)
    except (TypeError, ValueError) as error:
        raise type(error)(f"count: {error}") from error


def _store(taken: list[tuple[HistoryBuffer, list[Any]]]) -> None:
    """Write the entries of several buffers into their arrays."""
    flat = list(chain.from_iterable(entries for _, entries in taken))
    counts: Sequence[Any] | None = None
    if _Weighted in set(map(type, flat)):
        counts = read_tensors([_count(entry) for entry in flat])
        flat = [_value(entry) for entry in flat]
    values = read_tensors(flat)
    stop = 0
    for buffer, entries in taken:
        start, stop = stop, stop + len(entries)
        if entries:
            weights = None if counts is None else np.array(counts[start:stop])
            buffer._extend(np.array(values[start:stop]), weights)


def _value(entry: Any) -> Any:
    return entry.value if type(entry) is _Weighted else entry


def _count(entry: Any) -> Any:
    return entry.count if type(entry) is _Weighted else 1
