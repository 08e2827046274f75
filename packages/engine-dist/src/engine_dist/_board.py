"""The notice board of a group: what each rank writes about itself, in the group's store."""

import json
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch exports it unsaid
from torch.distributed.distributed_c10d import PrefixStore

T = TypeVar("T")

# When a group falls apart every rank fails in its turn; the first few know why.
_MOST_FAILURES = 8


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a rank gave up: which ranks are to blame, maybe itself, and what became of each."""

    told_by: int
    reasons: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class Beat:
    """A sign of life: its number, how many collectives the rank entered, and where it is now."""

    number: int
    entered: int
    operation: str

    def describe(self) -> str:
        """Tell where the rank was."""
        where = f"in {self.operation}" if self.operation else "between collectives"
        return f"{where}, after entering {self.entered}"


class Board:
    """Reads and writes notices. Each method may raise RuntimeError or OSError if the store is gone.

    Args:
        store: The group's store, without prefixes.
        rank: This process's rank.
        number: How many groups these processes tried to make before, so that notices of one are
            not taken for those of another.
        timeout: How long a connection of our own may take, in seconds.
    """

    def __init__(self, store: Any, rank: int, *, number: int, timeout: float) -> None:
        # A launcher's store outlives even processes that it starts anew.
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._prefix = f"engine_dist/{restart}/{number}"
        self._rank = rank
        self._held: Any = store
        self._shared: Callable[[], Any] = lambda: None
        self._connection = _connect(store, timedelta(seconds=timeout))
        self._failures: list[Failure] = []
        self._reading = threading.Lock()

    def let_go(self, shared: Any) -> None:
        """Hold the store no longer than its group does.

        Weak, because a group and its store must go when destroyed: the server of a store that
        lived on would answer the next group with addresses of the one before.

        Args:
            shared: The group's own reference to the store, maybe with a prefix.
        """
        self._shared, self._held = weakref.ref(shared), None

    def close(self) -> None:
        """Let go of everything."""
        self._connection = self._held = None

    @property
    def _store(self) -> Any:
        store = self._connection or self._held or _without_prefix(self._shared())
        if store is None:
            raise ConnectionError("the process group is destroyed")
        return PrefixStore(self._prefix, store)

    def arrive(self, world_size: int) -> bool:
        """Note that this rank is here; False if the rank has been here before."""
        if self._store.add(f"joined/{self._rank}", 1) > 1:
            return False
        if self._store.add("joined", 1) == world_size:
            self._store.set("complete", "")
        return True

    def is_complete(self) -> bool:
        """Tell whether every rank has arrived."""
        return bool(self._store.check(["complete"]))

    def beat(self, beat: Beat) -> None:
        """Write this rank's sign of life."""
        line = f"{beat.number}|{beat.entered}|{beat.operation}"
        self._store.set(f"beat/{self._rank}", line)

    def beats(self, ranks: Iterable[int]) -> dict[int, Beat | None]:
        """Read the last sign of life of each rank; None for one that never gave any."""
        beats: dict[int, Beat | None] = {}
        for rank in ranks:
            line = self._read(f"beat/{rank}")
            number, entered, operation = (line or "0|0|").split("|", 2)
            beat = Beat(number=int(number), entered=int(entered), operation=operation)
            beats[rank] = None if line is None else beat
        return beats

    def suspect(self, text: str) -> None:
        """Tell all ranks that one seems to be gone."""
        self._store.set("suspect", text)

    def suspected(self) -> str | None:
        """Read what was told by `suspect`."""
        return self._read("suspect")

    def leave(self) -> None:
        """Note that this rank has ended of its own accord."""
        self._store.set(f"left/{self._rank}", "")

    def left(self, ranks: Iterable[int]) -> list[int]:
        """List those of the ranks that have ended of their own accord."""
        return [rank for rank in ranks if self._store.check([f"left/{rank}"])]

    def fail(self, reasons: dict[int, str]) -> None:
        """Note that this rank gives up, and why."""
        place = self._store.add("failures", 1)
        if place <= _MOST_FAILURES:
            note = json.dumps({"told_by": self._rank, "reasons": reasons})
            self._store.set(f"failure/{place}", note)
        self._store.set(f"heard/{self._rank}", str(_MOST_FAILURES))

    def failures(self) -> list[Failure]:
        """Read the first failures of any ranks, and note that this rank has."""
        with self._reading:
            count = min(self._store.add("failures", 0), _MOST_FAILURES)
            if count > len(self._failures):
                for place in range(len(self._failures) + 1, count + 1):
                    if (note := self._read(f"failure/{place}")) is None:
                        break  # its writer is about to
                    self._failures.append(_failure(json.loads(note)))
                self._store.set(f"heard/{self._rank}", str(len(self._failures)))
        return self._failures

    def failures_heard(self) -> list[Failure]:
        """List the failures that were read so far, without asking the store."""
        return self._failures

    def wait_for_readers(self, ranks: Iterable[int], seconds: float) -> None:
        """Wait until ranks have read the first failure, or have ended."""
        waiting = set(ranks)
        deadline = time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            heard = {rank for rank in waiting if self._read(f"heard/{rank}") not in (None, "0")}
            waiting -= heard | set(self.left(waiting - heard))
            time.sleep(0.02)

    def _read(self, key: str) -> str | None:
        return self._store.get(key).decode() if self._store.check([key]) else None


def _failure(note: dict[str, Any]) -> Failure:
    reasons = {int(rank): reason for rank, reason in note["reasons"].items()}
    return Failure(told_by=note["told_by"], reasons=reasons)


def _without_prefix(store: Any) -> Any:
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    return store


def _connect(store: Any, timeout: timedelta) -> Any:
    """Reach a store over the network by a connection of our own; None for one of another kind.

    The group's own may be taken for minutes by a main thread that waits for a key.
    """
    store = _without_prefix(store)
    if not isinstance(store, TCPStore):
        return None
    return TCPStore(store.host, store.port, None, False, timeout, wait_for_workers=False)


def within(seconds: float, function: Callable[[], T]) -> T:
    """Call a function that may never return, because the process that holds the store is frozen.

    Raises:
        TimeoutError: It took longer; its thread is left behind.
    """
    answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((function(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=ask, name="engine-dist-ask", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"the group's store has not answered for {seconds:.1f} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # an answer without error is the function's
