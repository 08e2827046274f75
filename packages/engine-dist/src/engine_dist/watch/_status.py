"""Store the status of each rank in the group's store: joined, alive, exited or failed, and why."""

import json
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from torch.distributed import (  # type: ignore[attr-defined]  # torch exports it without stating it
    TCPStore,
)
from torch.distributed.distributed_c10d import PrefixStore

T = TypeVar("T")

# When a group fails, every rank fails in turn. The first few failures name the cause; the rest
# repeat it.
_MAX_FAILURES = 8
_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failure of a rank: the ranks to blame, which may include itself, with reasons."""

    reported_by: int
    reasons: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """A heartbeat: its number, the number of collectives entered so far, and the current one."""

    number: int
    entered: int
    operation: str

    def describe(self) -> str:
        """Return the collective that the rank was in, as part of a sentence."""
        where = f"in {self.operation}" if self.operation else "between collectives"
        return f"{where}, after entering {self.entered}"


def describe_silence(heartbeat: Heartbeat | None) -> str:
    """Describe a rank that stopped after this heartbeat, as part of a sentence."""
    heard = "" if heartbeat is None else f": last heard of {heartbeat.describe()}"
    return f"no longer answers{heard}"


class StatusStore:
    """Read and write the status of ranks. Each method may raise RuntimeError or OSError.

    Args:
        store: The group's store.
        rank: This process's rank.
        round: The number of the group in a store that outlives the processes.
        number: The number of groups that these processes tried to create before. It separates the
            status of several groups in one store.
        timeout: The maximum seconds to open a separate connection to the store. None to share the
            group's connection.
    """

    def __init__(
        self, store: Any, rank: int, *, number: int, timeout: float | None, round: int = 0
    ) -> None:
        # After a restart, the launcher's store still holds the status of the ended processes.
        self._prefix = f"engine_dist/{round}/{number}"
        self._rank = rank
        self._held: Any = store
        self._shared: Callable[[], Any] = lambda: None
        self._connection = None if timeout is None else connect(store, timeout)
        self._present: set[str] = set()
        self._failures: list[Failure] = []
        self._reading = threading.Lock()

    def share(self, group_store: Any) -> None:
        """Use the group's store from now on, without keeping it alive.

        A weak reference, because a destroyed group and its store must be freed. Otherwise the
        server of the store would answer the next group with old addresses.

        Args:
            group_store: The group's own reference to the store, maybe with a prefix.
        """
        self._shared, self._held = weakref.ref(group_store), None

    def close(self) -> None:
        """Release the store and the connection to it."""
        self._connection = self._held = None

    @property
    def _store(self) -> Any:
        store = self._connection or self._held or without_prefix(self._shared())
        if store is None:
            raise ConnectionError("the process group is destroyed")
        return PrefixStore(self._prefix, store)

    def join(self, world_size: int) -> bool:
        """Record that this rank has joined; return False if it had joined before."""
        if self._store.add(f"joined/{self._rank}", 1) > 1:
            return False
        # A counter, so that waiting ranks do not need to check the key of every rank.
        if self._store.add("joined", 1) == world_size:
            self._store.set("complete", "")
        return True

    def all_joined(self) -> bool:
        """Return whether every rank has joined."""
        return bool(self._store.check(["complete"]))

    def not_joined(self, ranks: Iterable[int]) -> list[int]:
        """Return those of the ranks that have not joined."""
        return [rank for rank in ranks if not self._store.check([f"joined/{rank}"])]

    def write_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Write this rank's heartbeat."""
        line = f"{heartbeat.number}|{heartbeat.entered}|{heartbeat.operation}"
        self._store.set(f"heartbeat/{self._rank}", line)

    def heartbeats(self, ranks: Iterable[int]) -> dict[int, Heartbeat | None]:
        """Read the last heartbeat of each rank; None for a rank that never wrote one."""
        return {rank: _heartbeat(self._read(f"heartbeat/{rank}")) for rank in ranks}

    def report_silence(self, text: str) -> None:
        """Report to all ranks that the heartbeat of one has stopped."""
        self._store.set("silence", text)

    def reported_silence(self) -> str | None:
        """Read what `report_silence` wrote."""
        return self._read("silence")

    def record_exit(self) -> None:
        """Record that this rank has ended without an error."""
        self._store.set(f"exited/{self._rank}", "")

    def exited(self, ranks: Iterable[int]) -> list[int]:
        """Return those of the ranks that have ended without an error."""
        return [rank for rank in ranks if self._store.check([f"exited/{rank}"])]

    def record_failure(self, reasons: dict[int, str]) -> None:
        """Record that this rank fails, and why."""
        position = self._store.add("failures", 1)
        if position <= _MAX_FAILURES:
            note = json.dumps({"reported_by": self._rank, "reasons": reasons})
            self._store.set(f"failure/{position}", note)
        # Mark all failures as read by this rank, so that `wait_for_readers` does not wait for it.
        self._store.set(f"read/{self._rank}", str(_MAX_FAILURES))

    def failures(self) -> list[Failure]:
        """Read the first failures of all ranks, and record that this rank has read them."""
        with self._reading:
            count = min(self._store.add("failures", 0), _MAX_FAILURES)
            if count > len(self._failures):
                for position in range(len(self._failures) + 1, count + 1):
                    # Not written yet: a rank first counts its failure, then writes it.
                    if (note := self._read(f"failure/{position}")) is None:
                        break
                    self._failures.append(_failure(json.loads(note)))
                self._store.set(f"read/{self._rank}", str(len(self._failures)))
        return self._failures

    def failures_read(self) -> list[Failure]:
        """Return the failures that were read so far, without a request to the store."""
        return self._failures

    def wait_for_readers(self, ranks: Iterable[int], seconds: float) -> None:
        """Wait until ranks have read the first failure, or have ended."""
        waiting = set(ranks)
        deadline = time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            done = {rank for rank in waiting if self._read(f"read/{rank}") not in (None, "0")}
            waiting -= done | set(self.exited(waiting - done))
            time.sleep(_POLL_SECONDS)

    def _read(self, key: str) -> str | None:
        store = self._store
        # Check first, because `get` waits for a missing key until the store's timeout. Keys are
        # never deleted, so one successful check per key is enough.
        if key not in self._present:
            if not store.check([key]):
                return None
            self._present.add(key)
        value: bytes = store.get(key)
        return value.decode()


def _heartbeat(line: str | None) -> Heartbeat | None:
    if line is None:
        return None
    number, entered, operation = line.split("|", 2)
    return Heartbeat(number=int(number), entered=int(entered), operation=operation)


def _failure(note: dict[str, Any]) -> Failure:
    # JSON turns the integer keys of a dict into strings.
    reasons = {int(rank): reason for rank, reason in note["reasons"].items()}
    return Failure(reported_by=note["reported_by"], reasons=reasons)


def without_prefix(store: Any) -> Any:
    """Return the store under all prefixes."""
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    return store


def connect(store: Any, seconds: float) -> Any:
    """Open a second connection to a store over the network; None for a store of another kind.

    A connection handles one request at a time. Without a second connection, a main thread that
    waits for a key would block the heartbeats for minutes.

    Args:
        store: The store, perhaps with prefixes.
        seconds: The maximum time to connect.
    """
    store = without_prefix(store)
    if not isinstance(store, TCPStore):
        return None
    timeout = timedelta(seconds=seconds)
    return TCPStore(store.host, store.port, None, False, timeout, wait_for_workers=False)


def call_with_timeout(seconds: float, function: Callable[[], T]) -> T:
    """Call a function that may never return, because the process that holds the store is frozen.

    A request to a store cannot be canceled. Therefore a thread makes it, and is abandoned after the
    timeout.

    Raises:
        TimeoutError: The function took longer.
    """
    answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put((function(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=call, name="engine-dist-store", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"the group's store has not answered for {seconds:.1f} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # an answer without an error is the function's
