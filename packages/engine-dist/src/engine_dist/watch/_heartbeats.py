"""Write the heartbeats of this rank from a thread, and check those of the next rank."""

import logging
import threading
import time
from collections.abc import Callable

from engine_dist.watch._status import Heartbeat, StatusStore, describe_silence

logger = logging.getLogger("engine.dist")

STORE_ERRORS = (RuntimeError, OSError)
_SILENT_INTERVALS = 10


class Heartbeats:
    """Write a heartbeat once per interval, from a separate thread.

    Each rank checks the heartbeat of the next rank only, so the cost per rank does not depend on
    the number of ranks. The rank that finds a silent rank reports it to all.

    Args:
        status: The status of all ranks, with its own connection to the store.
        rank: This process's rank.
        world_size: The number of ranks.
        interval: Seconds between two heartbeats.
        position: Returns the number of collectives that this rank has entered, and the current one.
        is_current: Returns whether the group still exists; the thread ends with it.
    """

    def __init__(
        self,
        status: StatusStore,
        rank: int,
        world_size: int,
        *,
        interval: float,
        position: Callable[[], tuple[int, str]],
        is_current: Callable[[], bool],
    ) -> None:
        self._status, self._rank, self._interval = status, rank, interval
        self._position, self._is_current = position, is_current
        self._neighbor = (rank + 1) % world_size
        self._number = 0
        self._last: Heartbeat | None = None
        self._changed = time.monotonic()
        self._reported = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-dist-watch", daemon=True)

    def start(self) -> None:
        """Write the first heartbeat and start the thread."""
        self.write()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait at most two intervals for it to end."""
        self._stop.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * self._interval)

    def write(self) -> None:
        """Write one heartbeat."""
        entered, operation = self._position()
        self._status.write_heartbeat(
            Heartbeat(number=self._number, entered=entered, operation=operation)
        )
        self._number += 1

    def beat(self) -> None:
        """Do the work of one interval: write, read failures, and check the next rank."""
        self.write()
        self._status.failures()  # read and kept: the store may end with the failed rank
        heartbeat = self._status.heartbeats([self._neighbor])[self._neighbor]
        silence = self._status.reported_silence()
        if heartbeat != self._last:
            self._last, self._changed = heartbeat, time.monotonic()
        elif self._is_silent() and not silence and not self._status.exited([self._neighbor]):
            silence = f"rank {self._neighbor} {describe_silence(heartbeat)}"
            self._status.report_silence(silence)
        if silence and not self._reported:
            # Logged now: nccl may end the process later, without naming the rank.
            logger.error("%s; collectives that wait for it will time out", silence)
            self._reported = True

    def _is_silent(self) -> bool:
        # Before its first heartbeat, the neighbor may not have called `init_dist` yet.
        silent = time.monotonic() - self._changed > _SILENT_INTERVALS * self._interval
        return silent and self._last is not None

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            if not self._is_current():
                self._status.close()
                return
            try:
                self.beat()
            except STORE_ERRORS as error:
                logger.debug("the group's store no longer answers rank %d: %s", self._rank, error)
                return
