"""Measure the time between two points of a program."""

import sys
import time
from types import TracebackType
from typing import Self


class TimerError(Exception):
    """A timer is read before it is started."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Timer:
    """Measure seconds between method calls, or print the seconds that a ``with`` block took.

    Args:
        start: Start at once.
        print_tmpl: The text that a ``with`` block prints, with a format for the seconds; by default
            ``{:.3f}``.

    Example:
        >>> timer = Timer()
        >>> since_start, since_check = timer.since_start(), timer.since_last_check()
        >>> 0 <= since_check < 10
        True
        >>> with Timer(print_tmpl="took {:.0f} s"):
        ...     total = sum(range(10))
        took 0 s
    """

    def __init__(self, start: bool = True, print_tmpl: str | None = None) -> None:
        self._started: float | None = None
        self._checked = 0.0
        self.print_tmpl = print_tmpl if print_tmpl else "{:.3f}"
        if start:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether the timer is started."""
        return self._started is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.stdout.write(self.print_tmpl.format(self.since_last_check()) + "\n")
        self._started = None

    def start(self) -> None:
        """Start the timer if it is not running, and reset the time of the last check."""
        # Not time.time(), which jumps when the clock of the system is set.
        now = time.perf_counter()
        if self._started is None:
            self._started = now
        self._checked = now

    def since_start(self) -> float:
        """Return the seconds since the start; the call counts as a check.

        Raises:
            TimerError: The timer is not running.
        """
        self._checked = time.perf_counter()
        return self._checked - self._start_time()

    def since_last_check(self) -> float:
        """Return the seconds since the last check or start; the call counts as a check.

        Raises:
            TimerError: The timer is not running.
        """
        self._start_time()  # raises if it is not running
        before, self._checked = self._checked, time.perf_counter()
        return self._checked - before

    def _start_time(self) -> float:
        if self._started is None:
            raise TimerError("the timer is not running; call start() first")
        return self._started


_timers: dict[str, Timer] = {}


def check_time(timer_id: str) -> float:
    """Return the seconds since the last call with this name.

    Args:
        timer_id: Any name.

    Returns:
        The seconds; 0 for the first call.

    Example:
        >>> check_time("loop")
        0
        >>> check_time("loop") < 10
        True
    """
    if timer_id in _timers:
        return _timers[timer_id].since_last_check()
    _timers[timer_id] = Timer()
    return 0
