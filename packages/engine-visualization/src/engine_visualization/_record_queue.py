"""Call a slow tracking backend in a thread, from a bounded queue."""

import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from engine_visualization.backends import BaseVisBackend

# The sum of the weights in the queue. A record weighs 1, and 1 more per 256 KiB of its image.
_CAPACITY = 1000
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0  # seconds
_ABANDON_TIMEOUT = 5.0


class RecordQueue:
    """Pass records to a backend in a thread, in their order.

    After a failure the thread pauses, and the next records wait in the queue. A full queue drops
    new records.

    Args:
        name: The name of the thread.
        backend: The backend, which has the time limit of `close`.
        call: Calls a method of the backend, and returns whether it succeeded.
        drop: Counts dropped records, given a reason and their number.
        pauses: Whether the thread pauses after a failure.
    """

    def __init__(
        self,
        name: str,
        backend: BaseVisBackend,
        call: Callable[[str, Mapping[str, Any]], bool],
        drop: Callable[[str, int], None],
        *,
        pauses: bool = True,
    ) -> None:
        self._name = name
        self._backend = backend
        self._call = call
        self._drop = drop
        self._changed = threading.Condition()
        self._records: deque[tuple[str, Mapping[str, Any], int]] = deque()
        self._weight = 0
        # Records that the backend has got, until its service has written them, with their times.
        self._passed: deque[tuple[float, str, Mapping[str, Any]]] = deque(maxlen=_CAPACITY)
        self._pauses = pauses
        self._pause = 0.0
        self._thread: threading.Thread | None = None
        self._is_busy = False
        self._is_closing = False

    def put(self, method: str, arguments: Mapping[str, Any], weight: int = 1) -> None:
        """Add a record, or drop it if the queue is full. This never waits for the backend.

        A record without weight is never dropped.
        """
        with self._changed:
            has_room = not self._records or self._weight + weight <= _CAPACITY
            is_full = weight > 0 and not has_room
            if not is_full:
                self._add(method, arguments, weight)
        if is_full:
            self._drop("is too slow, and its queue is full", 1)

    @property
    def is_idle(self) -> bool:
        """Whether the backend has got all records."""
        with self._changed:
            return self._is_done()

    def wait(self, timeout: float) -> bool:
        """Return whether the queue became empty within the timeout, in seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_done, timeout)

    def unwritten(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the records that the service may not have written, in their order."""
        with self._changed:
            self._remove_written()
            passed = [(method, arguments) for _, method, arguments in self._passed]
            return passed + [(method, arguments) for method, arguments, _ in self._records]

    def _remove_written(self) -> None:
        oldest = time.monotonic() - self._backend.write_delay
        while self._passed and self._passed[0][0] < oldest:
            self._passed.popleft()

    def close(self) -> None:
        """Close the backend after its last record; abandon it after ``close_timeout`` seconds."""
        limit = self._backend.close_timeout
        with self._changed:
            self._is_closing = True
            self._add("close", {}, 0)
            is_closed = self._changed.wait_for(self._is_done, limit)
            left = sum(method != "close" for method, _, _ in self._records)
            self._records.clear()
            self._weight, self._is_closing = 0, False
        if not is_closed:
            self._drop(f"was not closed within {limit:g} s, and is abandoned", left)
            returns_within(_ABANDON_TIMEOUT, lambda: self._call("abandon", {}))

    def _add(self, method: str, arguments: Mapping[str, Any], weight: int) -> None:
        self._records.append((method, arguments, weight))
        self._weight += weight
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _is_done(self) -> bool:
        return not self._records and not self._is_busy

    def _run(self) -> None:
        """Pass records to the backend until it is closed."""
        method = ""
        while method != "close":
            with self._changed:
                self._rest()
                self._changed.wait_for(lambda: self._records)
                method, arguments, weight = self._records.popleft()
                self._weight -= weight
                self._is_busy = True
                self._remove_written()
                # Before the call: a checkpoint may be saved while it lasts.
                self._passed.append((math.inf, method, arguments))
            succeeded = self._call(method, arguments)
            with self._changed:
                longer = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
                self._pause = 0.0 if succeeded or not self._pauses else longer
                self._passed.pop()
                if succeeded and self._backend.write_delay:
                    self._passed.append((time.monotonic(), method, arguments))
                self._is_busy = False
                if method == "close":
                    self._passed.clear()
                    self._thread = None
                self._changed.notify_all()

    def _rest(self) -> None:
        """Wait for the end of the pause after a failure; `close` ends it early."""
        if self._pause:
            end = time.monotonic() + self._pause
            self._changed.wait_for(lambda: self._is_closing or time.monotonic() >= end, self._pause)


def returns_within(timeout: float, function: Callable[[], object]) -> bool:
    """Call a function in a thread, and return whether it ends within the timeout, in seconds."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(timeout)
    return not thread.is_alive()


class Closable(Protocol):
    """The interface that `close_at_exit` needs of an object."""

    def close(self) -> None:
        """Close the object."""


_open: weakref.WeakSet[Closable] = weakref.WeakSet()
_open_lock = threading.Lock()
_watcher: threading.Thread | None = None


def close_at_exit(resource: Closable) -> None:
    """Close a resource when the main thread ends."""
    global _watcher
    if resource in _open:
        return
    # Not atexit, which calls the function registered last first: the library of a backend registers
    # its own later, and that one may wait for a server without end. Python joins threads before.
    with _open_lock:
        _open.add(resource)
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(
                target=_close_all, name="engine-visualization", daemon=False
            )
            _watcher.start()


def keep_open_at_exit(resource: Closable) -> None:
    """Undo `close_at_exit`."""
    _open.discard(resource)


def close_together(resources: Iterable[Closable]) -> None:
    """Close resources at the same time, so that the slowest decides how long it takes."""
    threads = [threading.Thread(target=each.close, daemon=True) for each in resources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _close_all() -> None:
    threading.main_thread().join()
    close_together(list(_open))
