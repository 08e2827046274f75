"""Heartbeats in the group's store: they tell which rank is missing when a collective fails.

A back end that loses its peer knows an address and a socket error at best. So every rank that
`init_dist` starts writes a short line into the store a few times a minute or second: that it is
alive, in which collective it is, how many it has entered; a rank that ends adds why. When a
collective breaks, the survivors read those lines and name whom they miss. One small write and three
small reads per rank and interval is all it costs; the collectives themselves count one integer.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch.distributed as torch_dist
from torch.distributed.distributed_c10d import _get_default_group, _get_default_store

from engine_dist._board import Beat, Board, Failure, within
from engine_dist._errors import DistError, RankLost
from engine_dist._rendezvous import Meeting

logger = logging.getLogger("engine.dist")

_MANY_INTERVALS = 10
_STORE_ERRORS = (RuntimeError, OSError)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often ranks report, and how long a silence means that one is gone; in seconds."""

    interval: float
    window: float
    wait: float
    """What is left of the group's timeout for a collective to wait, before the search begins."""

    @classmethod
    def for_timeout(cls, timeout: float) -> "Pace":
        """Report twenty times within the group's timeout, at most ten times a second."""
        interval = min(max(timeout / 20, 0.1), 1.0)
        window = min(max(4 * interval, 1.0), timeout / 4)
        # Twice: a search may end early or, where the store is frozen, take as long again.
        return cls(interval=interval, window=window, wait=timeout - 2 * window)


class RankWatch:
    """The heartbeat of this rank, and what it can find out about the others.

    Args:
        meeting: The store that every rank reaches.
        rank: This process's rank.
        world_size: The number of ranks.
        pace: How often to write, how long to wait.
        number: How many groups these processes tried to make before.
    """

    def __init__(
        self, meeting: Meeting, rank: int, world_size: int, *, pace: Pace, number: int = 0
    ) -> None:
        self.world_size = world_size
        self._rank, self._pace = rank, pace
        self._place, self._host = meeting.place, meeting.host
        self._group: weakref.ref[torch_dist.ProcessGroup] | None = None
        self._board = Board(meeting.store, rank, number=number, timeout=max(pace.window, 1.0))
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._ended = self._failed = False
        self._depth = 0
        self._operation = ""
        self._entered = 0
        self._thread = threading.Thread(target=self._run, name="engine-dist-watch", daemon=True)

    def attach(self) -> None:
        """Belong to the default group, now that it is made: watch it no longer than it exists."""
        # The one way to the group's own objects; torch's own tools go it too.
        self._group = weakref.ref(_get_default_group())
        self._board.let_go(_get_default_store())

    def is_current(self) -> bool:
        """Tell whether the watched group is still the default one, or still being made.

        Never in a forked child, which is no rank: it owns neither the thread nor the connection.
        """
        if os.getpid() != self._pid:
            return False
        if self._group is None:
            return True
        group = self._group()
        return group is not None and torch_dist.is_initialized() and group is torch_dist.group.WORLD

    def start(self) -> None:
        """Write the first line and keep writing from a thread of its own."""
        self._beat(0)
        self._thread.start()

    def stop(self, error: BaseException | None = None) -> None:
        """Stop writing and leave a note of how this rank ended; safe to call twice."""
        if os.getpid() != self._pid:
            return
        if self.is_current():  # else it was destroyed: nobody waits for this rank
            self.note_end(error)
            if self._failed and self._rank == self._host:
                self._outlive_failure()
        self._stop.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * self._pace.interval)

    def note_end(self, error: BaseException | None = None) -> None:
        """Leave a note that this rank ends, by itself or by an error; the first note counts."""
        if error is None:
            self._note(None)
        else:
            self._note({self._rank: f"died of {type(error).__name__}: {error}"})

    def _note(self, reasons: dict[int, str] | None) -> None:
        if self._ended:
            return
        self._ended, self._failed = True, reasons is not None
        board = self._board
        try:
            within(
                self._pace.window, board.leave if reasons is None else lambda: board.fail(reasons)
            )
        except _STORE_ERRORS as failure:
            logger.debug("rank %d could not leave a note: %s", self._rank, failure)

    def _outlive_failure(self) -> None:
        """Keep the store, which goes with this process, until all ranks know why it goes."""
        others = [rank for rank in range(self.world_size) if rank != self._rank]
        seconds = max(3 * self._pace.interval, 1.0)
        try:
            within(2 * seconds, lambda: self._board.wait_for_readers(others, seconds))
        except _STORE_ERRORS as failure:
            logger.debug("rank %d could not wait for readers: %s", self._rank, failure)

    def roll_call(self) -> None:
        """Wait until every rank has started its watch.

        Raises:
            RankLost: One did not within the timeout, or one that did has failed.
            DistError: Another process has this rank, or the store holds an earlier run's notes.
        """
        if not self._board.arrive(self.world_size):
            raise DistError(
                f"rank {self._rank} has joined at {self._place} before: two processes were given "
                "the same rank, or it is left over from an earlier run; give each process a rank "
                "of its own, and each run a new file or port"
            )
        deadline, pause = time.monotonic() + self._pace.wait, 0.005
        while not self._board.is_complete():
            if self._board.failures() or time.monotonic() > deadline:
                raise self.lost("init_dist", range(self.world_size))
            time.sleep(pause)
            pause = min(1.5 * pause, 0.5)

    def enter(self, operation: str) -> None:
        """Note that this rank goes into a collective."""
        if not self._depth:
            self._operation = operation
            self._entered += 1
        self._depth += 1

    def leave(self) -> None:
        """Note that this rank is out of the collective."""
        self._depth -= 1

    def lost(self, operation: str, ranks: Sequence[int]) -> RankLost:
        """Find out which of the ranks are to blame for a failed operation.

        Waits for a few heartbeats where nobody left a note. The answer is noted for the others, so
        that who fails next names the first cause and not this rank.
        """
        others = [rank for rank in ranks if rank != self._rank]
        hint = "every rank still answers; check the network"
        try:
            reasons = within(2 * self._pace.window, lambda: self._find(others))
        except _STORE_ERRORS as error:  # the store itself went with the process that held it
            reasons, hint = self._store_gone(error, others)
        lost = RankLost(operation, reasons, hint)
        self._note(reasons)
        return lost

    def _store_gone(self, error: Exception, others: Sequence[int]) -> tuple[dict[int, str], str]:
        if noted := self._blamed(self._board.failures_heard(), others):
            return noted, ""
        if self._host is None:
            return {}, f"{self._place} no longer answers ({error}), so no rank can be named"
        if isinstance(error, TimeoutError):
            return {self._host: "no longer answers, nor does the group's store, which it holds"}, ""
        return {self._host: "is gone, and the group's store with it"}, ""

    def _find(self, others: Sequence[int]) -> dict[int, str]:
        before = self._board.beats(others)
        deadline = time.monotonic() + self._pace.window
        while True:
            if noted := self._noted(others):
                return noted
            if time.monotonic() >= deadline:
                break
            time.sleep(self._pace.interval / 4)
        after = self._board.beats(others)
        silent = {rank: self._silence(beat) for rank, beat in after.items() if beat == before[rank]}
        # One who failed while the lines were read has left its collective, and looks late.
        return self._noted(others) or self._late(after) | silent

    def _noted(self, others: Sequence[int]) -> dict[int, str]:
        """Read what ranks noted at their end: their own reasons, or whom they blamed in turn."""
        if noted := self._blamed(self._board.failures(), others):
            return noted
        return dict.fromkeys(self._board.left(others), "left: it ended early")

    def _blamed(self, failures: Sequence[Failure], others: Sequence[int]) -> dict[int, str]:
        blamed: dict[int, str] = {}
        for failure in failures:
            if failure.told_by in others:
                blamed = failure.reasons | blamed  # who told first knows best
        blamed.pop(self._rank, None)  # late, not lost: the others gave up waiting for this rank
        return blamed

    def _late(self, beats: dict[int, Beat | None]) -> dict[int, str]:
        """Name the ranks that are in no collective or in another; those behind come first.

        Counts say little on their own: ranks of other groups enter more or fewer collectives.
        """
        behind: dict[int, str] = {}
        ahead: dict[int, str] = {}
        for rank, beat in beats.items():
            if beat is None or beat.operation == self._operation:
                continue
            doing = f"is in {beat.operation}" if beat.operation else "is in no collective"
            went_on = not beat.operation and beat.entered >= self._entered
            told = f"did not arrive: it {doing} after entering {beat.entered}"
            (ahead if went_on else behind)[rank] = told
        return behind or ahead

    def _silence(self, beat: Beat | None) -> str:
        if beat is None:
            return f"never joined: it did not call init_dist, or cannot reach {self._place}"
        return f"no longer answers: last heard of {beat.describe()}"

    def _beat(self, number: int) -> Beat:
        inside = self._operation if self._depth else ""
        beat = Beat(number=number, entered=self._entered, operation=inside)
        self._board.beat(beat)
        return beat

    def _run(self) -> None:
        number, neighbour = 0, (self._rank + 1) % self.world_size
        last, since, told = None, time.monotonic(), False
        while not self._stop.wait(self._pace.interval):
            if not self.is_current():
                self._board.close()
                return
            try:
                number += 1
                self._beat(number)
                self._board.failures()  # kept, in case the store goes with who failed
                beat = self._board.beats([neighbour])[neighbour]
                suspect = self._board.suspected()
                if beat != last:
                    last, since = beat, time.monotonic()
                elif self._group is not None and self._is_long_ago(since) and not suspect:
                    suspect = f"rank {neighbour} {self._silence(beat)}"
                    self._board.suspect(suspect)
            except _STORE_ERRORS as error:
                logger.debug("the group's store no longer answers rank %d: %s", self._rank, error)
                return
            if suspect and not told:
                # Only a message: nccl ends the process by itself, without a word about the rank.
                logger.error("%s; collectives that wait for it will time out", suspect)
                told = True

    def _is_long_ago(self, since: float) -> bool:
        return time.monotonic() - since > _MANY_INTERVALS * self._pace.interval
