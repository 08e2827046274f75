"""Find the lost rank when a collective fails.

A backend that loses a peer reports at best an address and a socket error. Therefore each rank
records its status in the group's store: `init_dist` records that it joined, and at its end that it
exited or failed, and why. When a collective fails, the other ranks read these records and name the
lost rank.

With heartbeats, each rank also writes once per interval how many collectives it has entered, and
the current one. This identifies ranks that were killed, are frozen or wait elsewhere. Without
heartbeats, each remaining rank writes one such line when a collective fails. Ranks without a line
are lost.
"""

import logging
import os
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch.distributed as torch_dist
from torch.distributed.distributed_c10d import _get_default_group, _get_default_store

from engine_dist._errors import DistError, RankLost
from engine_dist._rendezvous import Rendezvous
from engine_dist.watch._heartbeats import STORE_ERRORS, Heartbeats
from engine_dist.watch._status import (
    Failure,
    Heartbeat,
    StatusStore,
    call_with_timeout,
    describe_silence,
)

logger = logging.getLogger("engine.dist")


@dataclass(frozen=True, kw_only=True)
class MonitorTiming:
    """The parts of a group's timeout, in seconds.

    Attributes:
        interval: Seconds between two heartbeats of a rank.
        search: Seconds to wait for the record of a failure, before heartbeats are compared.
        collective: The timeout of collectives: the rest of the group's timeout.
    """

    interval: float
    search: float
    collective: float

    @classmethod
    def for_timeout(cls, timeout: float) -> "MonitorTiming":
        """Divide a timeout: a heartbeat per twentieth of it, but one to ten per second."""
        interval = min(max(timeout / 20, 0.1), 1.0)
        search = min(max(4 * interval, 1.0), timeout / 4)
        # Twice, because a search times out after 2 * search if the store is frozen.
        return cls(interval=interval, search=search, collective=timeout - 2 * search)


class RankMonitor:
    """Record the status of this rank, and find lost ranks.

    Args:
        rendezvous: The store, which all ranks can reach.
        rank: This process's rank.
        world_size: The number of ranks.
        timing: The heartbeat interval, and the time to search for lost ranks.
        number: The number of groups that these processes tried to create before.
        heartbeat: Whether to write heartbeats from a thread.
    """

    def __init__(
        self,
        rendezvous: Rendezvous,
        rank: int,
        world_size: int,
        *,
        timing: MonitorTiming,
        number: int = 0,
        heartbeat: bool = True,
    ) -> None:
        self.world_size = world_size
        self._rank, self._timing = rank, timing
        self._place, self._store_rank = rendezvous.place, rendezvous.store_rank
        self._group: weakref.ref[torch_dist.ProcessGroup] | None = None
        timeout = max(timing.search, 1.0) if heartbeat else None
        self._answer = rendezvous.answer
        store = rendezvous.store if rendezvous.base is None else rendezvous.base
        self._status = StatusStore(
            store, rank, number=number, timeout=timeout, round=rendezvous.round
        )
        self._pid = os.getpid()
        self._ended = self._failed = False
        self._depth = 0
        self._operation = ""
        self._entered = 0
        self._heartbeats = self._make_heartbeats() if heartbeat else None

    def _make_heartbeats(self) -> Heartbeats:
        return Heartbeats(
            self._status,
            self._rank,
            self.world_size,
            interval=self._timing.interval,
            position=self._position,
            is_current=self.is_current,
        )

    def attach(self) -> None:
        """Bind the monitor to the default group, which now exists."""
        # Private functions of torch, but the only access to the group and its store. Torch's own
        # tools use them too.
        self._group = weakref.ref(_get_default_group())
        self._status.share(_get_default_store())

    def is_current(self) -> bool:
        """Return whether the monitored group is the default group, or is still being created.

        False in a forked child: it is not a rank, and has neither the thread nor the connection.
        """
        if os.getpid() != self._pid:
            return False
        if self._group is None:
            return True
        group = self._group()
        return group is not None and torch_dist.is_initialized() and group is torch_dist.group.WORLD

    def start(self) -> None:
        """Write the first heartbeat and start the thread that writes the others."""
        if self._heartbeats is not None:
            self._heartbeats.start()

    def stop(self, error: BaseException | None = None) -> None:
        """Stop the heartbeats and record how this rank ended; may be called twice."""
        if os.getpid() != self._pid:
            return
        if self.is_current():  # after destroy_process_group no rank waits for this one
            self.record_end(error)
            if self._failed and self._rank == self._store_rank:
                self._keep_store_for_readers()
        if self._heartbeats is not None:
            self._heartbeats.stop()

    def record_end(self, error: BaseException | None = None) -> None:
        """Record that this rank ends, with or without an error; later calls do nothing."""
        if error is None:
            self._record(None)
        else:
            self._record({self._rank: f"died of {type(error).__name__}: {error}"})

    def _record(self, reasons: dict[int, str] | None) -> None:
        if self._ended:
            return
        self._ended, self._failed = True, reasons is not None
        status = self._status
        try:
            call_with_timeout(
                self._timing.search,
                status.record_exit if reasons is None else lambda: status.record_failure(reasons),
            )
        except STORE_ERRORS as failure:
            logger.debug("rank %d could not record its end: %s", self._rank, failure)

    def _keep_store_for_readers(self) -> None:
        """Wait until all ranks have read why this one failed: the store ends with this process."""
        others = [rank for rank in range(self.world_size) if rank != self._rank]
        seconds = max(3 * self._timing.interval, 1.0)
        try:
            call_with_timeout(2 * seconds, lambda: self._status.wait_for_readers(others, seconds))
        except STORE_ERRORS as failure:
            logger.debug("rank %d could not wait for readers: %s", self._rank, failure)

    def wait_for_all_ranks(self) -> None:
        """Wait until every rank has joined.

        Raises:
            RankLost: A rank did not join within the timeout, or a rank failed meanwhile.
            DistError: Another process has this rank, or the store has the status of an earlier run.
        """
        if not self._status.join(self.world_size):
            raise DistError(
                f"rank {self._rank} has joined at {self._place} before: two processes were given "
                "the same rank, or it is left over from an earlier run; give each process a rank "
                "of its own, and each run a new file or port"
            )
        deadline, pause = time.monotonic() + self._timing.collective, 0.005
        # Polled, because waiting for the key would not end when another rank fails.
        while not self._status.all_joined():
            self._answer()
            if self._status.failures() or time.monotonic() > deadline:
                raise self.find_lost("init_dist", range(self.world_size))
            time.sleep(pause)
            pause = min(1.5 * pause, 0.5)

    def enter(self, operation: str) -> None:
        """Note that this rank enters a collective."""
        # No lock: this runs in every collective, and the heartbeat thread only reads the
        # attributes.
        if not self._depth:
            self._operation = operation
            self._entered += 1
        self._depth += 1

    def leave(self) -> None:
        """Note that this rank leaves the collective."""
        self._depth -= 1

    def find_lost(self, operation: str, ranks: Sequence[int]) -> RankLost:
        """Find the ranks that made an operation fail.

        Waits for a few heartbeats if no rank recorded a failure. Records the result for the other
        ranks: ranks that fail next then report the first cause, and not this rank.
        """
        others = [rank for rank in ranks if rank != self._rank]
        hint = "every rank still answers; check the network"
        try:
            reasons = call_with_timeout(2 * self._timing.search, lambda: self._find(others))
        except STORE_ERRORS as error:  # the process that held the store has ended
            reasons, hint = self._blame_store(error, others)
        lost = RankLost(operation, reasons, hint)
        self._record(reasons)
        return lost

    def _blame_store(self, error: Exception, others: Sequence[int]) -> tuple[dict[int, str], str]:
        if recorded := self._blamed(self._status.failures_read(), others):
            return recorded, ""
        holder = self._store_rank
        if holder is None:
            return {}, f"{self._place} no longer answers ({error}), so no rank can be named"
        if isinstance(error, TimeoutError):
            return {holder: "no longer answers, nor does the group's store, which it holds"}, ""
        return {holder: "is gone, and the group's store with it"}, ""

    def _find(self, others: Sequence[int]) -> dict[int, str]:
        if self._heartbeats is None:
            # The only heartbeat. The other ranks fail too, and read from it that this rank is
            # alive.
            entered, operation = self._position()
            heartbeat = Heartbeat(number=0, entered=entered, operation=operation)
            self._status.write_heartbeat(heartbeat)
        before = self._status.heartbeats(others)
        deadline = time.monotonic() + self._timing.search
        while True:
            if recorded := self._recorded(others):
                return recorded
            if time.monotonic() >= deadline:
                break
            time.sleep(self._timing.interval / 4)
        after = self._status.heartbeats(others)
        silent = self._absent(others) | self._silent(before, after)
        # Read the records again: a rank that failed meanwhile has left its collective, and would
        # look late.
        return self._recorded(others) or self._late(after) | silent

    def _absent(self, others: Sequence[int]) -> dict[int, str]:
        reason = f"never joined: it did not call init_dist, or cannot reach {self._place}"
        return dict.fromkeys(self._status.not_joined(others), reason)

    def _silent(
        self, before: dict[int, Heartbeat | None], after: dict[int, Heartbeat | None]
    ) -> dict[int, str]:
        if self._heartbeats is not None:
            return {
                rank: describe_silence(heartbeat)
                for rank, heartbeat in after.items()
                if heartbeat is not None and heartbeat == before[rank]
            }
        if self._group is None:
            return {}  # ranks that have joined still wait for the others
        reason = "reported nothing: it was killed, is frozen, or still computes"
        return {rank: reason for rank, heartbeat in after.items() if heartbeat is None}

    def _recorded(self, others: Sequence[int]) -> dict[int, str]:
        """Read the records of ended ranks: their own reasons, or the ranks that they blamed."""
        if recorded := self._blamed(self._status.failures(), others):
            return recorded
        return dict.fromkeys(self._status.exited(others), "left: it ended early")

    def _blamed(self, failures: Sequence[Failure], others: Sequence[int]) -> dict[int, str]:
        blamed: dict[int, str] = {}
        for failure in failures:
            if failure.reported_by in others:
                # An earlier report is closer to the cause, so it has priority.
                blamed = failure.reasons | blamed
        # This rank is not lost: it is late, and others stopped waiting for it.
        blamed.pop(self._rank, None)
        return blamed

    def _late(self, heartbeats: dict[int, Heartbeat | None]) -> dict[int, str]:
        """Return the ranks in no collective or in another one; prefer those that are behind.

        The counts alone do not show which rank is late: ranks of other groups enter more or fewer
        collectives.
        """
        behind: dict[int, str] = {}
        ahead: dict[int, str] = {}
        for rank, heartbeat in heartbeats.items():
            if heartbeat is None or heartbeat.operation == self._operation:
                continue
            place = f"in {heartbeat.operation}" if heartbeat.operation else "in no collective"
            is_through = not heartbeat.operation and heartbeat.entered >= self._entered
            reason = f"did not arrive: it is {place} after entering {heartbeat.entered}"
            (ahead if is_through else behind)[rank] = reason
        return behind or ahead

    def _position(self) -> tuple[int, str]:
        """Return the number of collectives entered so far, and the current one."""
        return self._entered, self._operation if self._depth else ""
