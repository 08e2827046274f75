"""Start the run of a tracking service once, whichever thread uses it first."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Run = TypeVar("Run")


class RunHandle(Generic[Run]):
    """Hold the run of a service, which the first use starts.

    A user may read ``experiment`` of a backend while a visualizer's thread starts the run.

    Args:
        start: Starts a run and returns it.

    Example:
        >>> handle = RunHandle(list)
        >>> handle.take() is None
        True
        >>> handle.get() is handle.get()
        True
    """

    def __init__(self, start: Callable[[], Run]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._run: Run | None = None

    def get(self) -> Run:
        """Return the run, and start it if there is none."""
        with self._lock:
            if self._run is None:
                self._run = self._start()
            return self._run

    def take(self) -> Run | None:
        """Return the run, if there is one, and release it; the next use starts another."""
        with self._lock:
            run, self._run = self._run, None
            return run
