"""Heartbeats in the group's store: they tell which rank is missing when a collective fails.

A back end that loses its peer knows an address and a socket error at best. So every rank that
`init_dist` starts writes a short line into the store a few times a minute or second: that it is
alive, in which collective it is, how many it has finished; a rank that ends adds why. When a
collective breaks, the survivors read those lines and name whom they miss. One small write and two
small reads per rank and interval is all it costs; the collectives themselves count one integer.
"""

import atexit
import json
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch.distributed as torch_dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch exports it unsaid
from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

from engine_dist._errors import RankLost
from engine_dist._groups import get_default_group

logger = logging.getLogger("engine.dist")

# Words by which the back ends tell of a peer that is gone or late; they have no error class for it.
_BROKEN = ("connection", "timed out", "timeout", "broken pipe", "socket", "aborted", "reset by")
_MANY_INTERVALS = 10


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often ranks report, and how long a silence means that one is gone; in seconds."""

    interval: float
    window: float

    @classmethod
    def for_timeout(cls, timeout: float) -> "Pace":
        """Report twenty times within the group's timeout, at most ten times a second."""
        interval = min(max(timeout / 20, 0.1), 1.0)
        return cls(interval=interval, window=min(max(4 * interval, 1.0), timeout / 2))


class RankWatch:
    """The heartbeat of this rank, and what it can find out about the others.

    Args:
        group: The default process group.
        store: The group's key-value store, which every rank reaches.
        pace: How often to write, how long to wait.
        number: How many groups these processes had before.
    """

    def __init__(
        self, group: torch_dist.ProcessGroup, store: Any, pace: Pace, *, number: int = 0
    ) -> None:
        # Weak, because a group and its store must go when destroyed: the server of a store that
        # lived on would answer the next group with addresses of the one before.
        self._group, self._shared = weakref.ref(group), weakref.ref(store)
        self._pace = pace
        self._rank, self.world_size = group.rank(), group.size()
        # Numbered: a launcher's store outlives groups and even processes that it starts anew.
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._prefix = f"engine_dist/watch/{restart}/{number}"
        self._connection = _connect(store, timedelta(seconds=max(pace.window, 1.0)))
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._ended = False
        self._depth = 0
        self._operation = ""
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="engine-dist-watch", daemon=True)

    def is_current(self) -> bool:
        """Tell whether the watched group is still the default one."""
        group = self._group()
        return group is not None and group is get_default_group()

    @property
    def _store(self) -> Any:
        """The group's store, with names of our own.

        Raises:
            ConnectionError: The group is destroyed.
        """
        store = self._connection or self._shared()
        if store is None:
            raise ConnectionError("the process group is destroyed")
        return PrefixStore(self._prefix, store)

    def start(self) -> None:
        """Write the first line and keep writing from a thread of its own."""
        self._beat(0)
        self._thread.start()

    def stop(self, error: BaseException | None = None) -> None:
        """Stop writing and leave a note of how this rank ended; safe to call twice."""
        if os.getpid() != self._pid:
            return  # a forked child owns neither the thread nor the connection
        if self.is_current():  # else it was destroyed: nobody waits for this rank
            self._note_end("" if error is None else f"{type(error).__name__}: {error}")
        self._stop.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * self._pace.interval)

    def enter(self, operation: str) -> None:
        """Note that this rank goes into a collective."""
        if not self._depth:
            self._operation = operation
            self._count += 1
        self._depth += 1

    def leave(self) -> None:
        """Note that this rank is out of the collective."""
        self._depth -= 1

    def lost(self, operation: str, ranks: Sequence[int]) -> RankLost:
        """Find out which of the ranks are to blame for a failed operation.

        Waits for a few heartbeats where nobody left a note. The answer is noted for the others, so
        that who fails next names the first cause and not this rank.
        """
        try:
            reasons, hint = self._find(ranks), "every rank still answers; check the network"
        except (RuntimeError, OSError):  # the store itself went with the process that held it
            reasons, hint = self._store_gone()
        error = RankLost(operation, reasons, hint)
        self._note_end(f"RankLost: {error}", blamed=reasons)
        return error

    def _store_gone(self) -> tuple[dict[int, str], str]:
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            return {}, "the launcher, which holds the group's store, no longer answers"
        return {0: "is gone, and the group's store with it"}, ""

    def _find(self, ranks: Sequence[int]) -> dict[int, str]:
        others = [rank for rank in ranks if rank != self._rank]
        before = {rank: self._read(f"beat/{rank}") for rank in others}
        deadline = time.monotonic() + self._pace.window
        while True:
            if noted := self._noted(others):
                return noted
            if time.monotonic() >= deadline:
                break
            time.sleep(self._pace.interval / 4)
        after = {rank: self._read(f"beat/{rank}") for rank in others}
        silent = {rank: _silent(line) for rank, line in after.items() if line == before[rank]}
        return self._late(after) | silent

    def _noted(self, others: Sequence[int]) -> dict[int, str]:
        """Read the notes of ranks that ended: their own reasons, or whom they blamed in turn."""
        if not self._store.add("ends", 0):
            return {}
        causes: dict[int, str] = {}
        for rank in others:
            if (text := self._read(f"end/{rank}")) is None:
                continue
            end = json.loads(text)
            if end["blamed"] is None:
                causes[rank] = f"died of {end['error']}" if end["error"] else "left: it ended early"
            else:
                causes |= {int(blamed): reason for blamed, reason in end["blamed"].items()}
        causes.pop(self._rank, None)  # late, not lost: the others gave up waiting for this rank
        return causes

    def _late(self, lines: dict[int, str | None]) -> dict[int, str]:
        mine = f"{self._count}|{self._operation}"
        late = {}
        for rank, line in lines.items():
            count, operation = (line or "||").split("|")[1:]
            if f"{count}|{operation}" != mine:
                doing = f"is in {operation}" if operation else "is in no collective"
                late[rank] = f"did not arrive: it {doing} after entering {count or 0}"
        return late

    def _read(self, key: str) -> str | None:
        return self._store.get(key).decode() if self._store.check([key]) else None

    def _note_end(self, error: str, blamed: dict[int, str] | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._store.set(f"end/{self._rank}", json.dumps({"error": error, "blamed": blamed}))
            self._store.add("ends", 1)
        except (RuntimeError, OSError) as failure:
            logger.debug("rank %d could not leave a note: %s", self._rank, failure)

    def _beat(self, number: int) -> None:
        inside = self._operation if self._depth else ""
        self._store.set(f"beat/{self._rank}", f"{number}|{self._count}|{inside}")

    def _run(self) -> None:
        number, neighbour = 0, (self._rank + 1) % self.world_size
        last, since, told = None, time.monotonic(), False
        while not self._stop.wait(self._pace.interval):
            if not self.is_current():
                _forget(self)
                return
            try:
                number += 1
                self._beat(number)
                line = self._read(f"beat/{neighbour}")
                suspect = self._read("suspect")
            except (RuntimeError, OSError) as error:
                logger.debug("the group's store no longer answers rank %d: %s", self._rank, error)
                return
            if line != last:
                last, since = line, time.monotonic()
            elif time.monotonic() - since > _MANY_INTERVALS * self._pace.interval and not suspect:
                suspect = f"rank {neighbour} {_silent(line)}"
                self._store.set("suspect", suspect)
            if suspect and not told:
                # Only a message: nccl ends the process by itself, without a word about the rank.
                logger.error("%s; collectives that wait for it will time out", suspect)
                told = True


def _connect(store: Any, timeout: timedelta) -> Any:
    """Reach a store over the network by a connection of our own; None for one of another kind.

    The group's own may be taken for minutes by a main thread that waits for a key.
    """
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    if not isinstance(store, TCPStore):
        return None
    return TCPStore(store.host, store.port, None, False, timeout, wait_for_workers=False)


def _silent(line: str | None) -> str:
    if line is None:
        return "never reported"
    _, count, operation = line.split("|")
    where = f"in {operation}" if operation else "between collectives"
    return f"no longer answers: last heard of {where}, after entering {count}"


_watch: RankWatch | None = None
_started = 0


def start_watch(pace: Pace) -> None:
    """Start the heartbeat of this rank for the default group; every rank should."""
    global _watch, _started
    group = get_default_group()
    if group is None or group.size() == 1:
        return
    stop_watch()
    # The one way to a store that `init_process_group` made itself; torch's own tools go it too.
    store = _get_default_store()
    _watch = RankWatch(group, store, pace, number=_started)
    _watch.start()
    _started += 1
    if _started == 1:
        atexit.register(stop_watch)
        _tell_of_unhandled_errors()


def stop_watch() -> None:
    """Stop the heartbeat of this rank, if there is one."""
    global _watch
    if _watch is not None:
        _watch.stop()
        _watch = None


def _forget(watch: RankWatch) -> None:
    """Let go of a watch whose group is destroyed, and with it of the group."""
    global _watch
    if _watch is watch:
        _watch = None


def current_watch() -> RankWatch | None:
    """Return the watch of the default group that exists now, or None."""
    return _watch if _watch is not None and _watch.is_current() else None


def _tell_of_unhandled_errors() -> None:
    previous = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        watch = current_watch()
        if watch is not None and not isinstance(error, RankLost) and is_broken(error):
            found = watch.lost("a collective outside engine_dist", range(watch.world_size))
            logger.error("%s", found)
        elif watch is not None:
            watch.stop(error)
        previous(kind, error, traceback)

    sys.excepthook = hook


def is_broken(error: BaseException) -> bool:
    """Tell whether an error of a back end means that a peer is gone or late."""
    if isinstance(error, torch_dist.DistNetworkError | torch_dist.DistBackendError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _BROKEN)


class guard_collective:  # noqa: N801  # used like a function, as contextlib's own are
    """Turn the failure of collectives inside into `RankLost`, which names the ranks to blame.

    Every collective of this package is guarded. Put it around those of others (the backward pass
    of a wrapped model) to get the same there. Without a group that `init_dist` started, errors
    pass as they are.

    Args:
        operation: What to call it in messages.
        group: The process group it works on.

    Raises:
        RankLost: A collective inside failed because of other ranks.

    Example:
        >>> with guard_collective("backward"):
        ...     total = 1 + 1
    """

    __slots__ = ("_group", "_operation", "_watch")

    def __init__(self, operation: str, group: torch_dist.ProcessGroup | None = None) -> None:
        self._operation, self._group = operation, group
        self._watch: RankWatch | None = None

    def __enter__(self) -> None:
        self._watch = current_watch()
        if self._watch is not None:
            self._watch.enter(self._operation)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watch is None:
            return
        if error is None or isinstance(error, RankLost) or not is_broken(error):
            self._watch.leave()
            return
        ranks = torch_dist.get_process_group_ranks(self._group)
        try:
            raise self._watch.lost(self._operation, ranks) from error
        finally:
            self._watch.leave()
