"""Agree with the other ranks on the step after which all of them stop.

A rank that is asked to stop writes this into the group's store. A thread of each rank reads it
there, several times per second: the training itself neither calls a collective nor the store.

Ranks may be at different steps by then, and a rank that waits at the end of its step could keep
others from the end of theirs. So each thread first promises that its rank does not go beyond the
end of its current step, and writes the last step whose end the rank has passed. All ranks then
stop at the first step that none of them has passed. A rank that is behind gets there, as the ranks
before it have done their part of the collectives on the way.
"""

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch.distributed as torch_dist
from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

from engine_dist._errors import RankLost
from engine_dist.watch._broken import is_broken
from engine_dist.watch._heartbeats import STORE_ERRORS
from engine_dist.watch._status import call_with_timeout, connect, without_prefix

logger = logging.getLogger("engine.dist")

Position: TypeAlias = Sequence[float]
"""A place in the training. Positions ascend, and are equal on all ranks."""

_CONNECT_SECONDS = 10.0
_AGREE_SECONDS = 60.0  # a rank that is silent for that long is dead or frozen
_LEAVE_SECONDS = 10.0  # for a collective that fails by itself, before the process is ended
_REQUESTS_PER_SECOND = 500  # of all ranks together, to the process that holds the store
_START: Position = (-1,)
_END: Position = (float("inf"),)


class StopAgreement:
    """Let all ranks stop after the same step, and end if one of them fails.

    All ranks must create one at the same place, with the same key, call `stops_at` at the same
    places, and `close` it.

    Args:
        key: A text that no other agreement of the launch has.
        store: The store that all ranks share; that of the default process group by default.
        rank: The rank of this process, with ``store``.
        world_size: The number of ranks, with ``store``.

    Attributes:
        number: The number of the signal, or any other positive integer, of the first request; 0
            without one.

    Example:
        >>> agreement = StopAgreement("alone")  # without a process group there are no others
        >>> agreement.stops_at((1,))
        False
        >>> agreement.request(15)
        >>> agreement.stops_at((2,)), agreement.number
        (True, 15)
        >>> agreement.close()
    """

    def __init__(self, key: str, *, store: Any = None, rank: int = 0, world_size: int = 1) -> None:
        if store is None and torch_dist.is_available() and torch_dist.is_initialized():
            rank, world_size = torch_dist.get_rank(), torch_dist.get_world_size()
            store = _get_default_store()
        self.number = 0
        self._rank, self._world_size = rank, world_size
        self._passed, self._held = _START, False
        self._target: Position | None = None
        self._failure: RankLost | None = None
        self._traceback = ""  # of the rank that failed
        self._requested = 0  # by this rank
        self._posted = self._published = False
        # Between the end of a step and the promise of the thread.
        self._lock = threading.Lock()
        self._known, self._wake, self._closed = (threading.Event() for _ in range(3))
        self._store: Any = None
        if world_size > 1:
            # A connection of its own: others wait on the group's for minutes.
            shared = connect(store, _CONNECT_SECONDS) or without_prefix(store)
            self._store = PrefixStore(f"engine_dist/stop/{key}", shared)
            self._pause = min(max(0.2, world_size / _REQUESTS_PER_SECOND), 2.0)
            self._thread = threading.Thread(target=self._run, name="engine-dist-stop", daemon=True)
            self._thread.start()

    @property
    def is_alone(self) -> bool:
        """Whether there are no other ranks."""
        return self._world_size == 1

    def can_agree(self) -> bool:
        """Return whether the process that holds the store still answers."""
        return self._world_size == 1 or self._call(lambda store: store.check(["event"]))

    def request(self, number: int) -> None:
        """Ask all ranks to stop. It may be called by any thread; only the first request counts.

        Args:
            number: A positive integer, such as the number of a signal.
        """
        self._requested = self._requested or number
        if self._world_size == 1:
            self.number = self.number or number
        self._wake.set()

    def stops_at(self, position: Position) -> bool:
        """Return whether all ranks stop here; if ranks have to agree first, wait for that.

        Args:
            position: The place of this rank, after all that it has passed.

        Raises:
            RankLost: Another rank has failed, or does not answer.
        """
        if self._world_size == 1:
            return bool(self.number)
        self._raise_failure()
        with self._lock:
            if not self._held:
                self._passed = position
                return False
        return self._stops_after_agreement(position)

    def _stops_after_agreement(self, position: Position) -> bool:
        deadline = time.monotonic() + _AGREE_SECONDS
        while not self._known.wait(0.05):
            self._raise_failure()
            if self._store is None or time.monotonic() > deadline:
                hint = "not all ranks have answered the request to stop"
                raise RankLost("stopping", self._silent(), hint)
        return self._target is not None and tuple(position) > tuple(self._target)

    def _silent(self) -> dict[int, str]:
        store = self._store
        if store is None:
            return {}
        try:
            return call_with_timeout(
                2.0,
                lambda: {
                    rank: "did not answer the request to stop"
                    for rank in range(self._world_size)
                    if not store.check([f"passed/{rank}"])
                },
            )
        except STORE_ERRORS:
            return {}

    def fail(self, error: BaseException) -> RankLost | None:
        """Report to the other ranks that this one leaves with an error; they end, too.

        Args:
            error: The exception that this rank raises.

        Returns:
            The error to raise in its place, if the cause is that another rank has failed.
        """
        if self._world_size == 1 or isinstance(error, RankLost):
            return None
        if is_broken(error):
            self._call(self._read_failure)
            if self._failure is not None:
                self._report(self._failure)
                return self._failure
        reason = f"died of {type(error).__name__}: {error}"
        text = "".join(traceback.format_exception(error))
        note = json.dumps({"rank": self._rank, "reason": reason, "traceback": text})
        self._call(lambda store: _record_failure(store, note))
        return None

    def close(self) -> None:
        """Leave the agreement: this rank is through with all steps."""
        if self._world_size == 1 or self._closed.is_set():
            return
        # Also without a request: one may come from a rank that is still in its last step.
        with self._lock:
            self._held, self._passed = True, self._passed if self._held else _END
        self._call(self._publish)
        self._closed.set()
        self._wake.set()

    def _call(self, function: Callable[[Any], object]) -> bool:
        """Call a function with the store, and return whether the store has answered."""
        store = self._store
        try:
            if store is not None:
                call_with_timeout(5.0, lambda: function(store))
        except STORE_ERRORS as error:
            logger.debug("the store of rank %d no longer answers: %s", self._rank, error)
            return False
        return store is not None

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._poll()
                urgent = self.number and not self._known.is_set()
                self._wake.wait(0.02 if urgent else self._pause)
                self._wake.clear()
        except STORE_ERRORS as error:
            logger.debug("the store of rank %d no longer answers: %s", self._rank, error)
        self._store = None

    def _poll(self) -> None:
        """Do what is due: post a request, read one, make the promise, read the result."""
        store = self._store
        if self._requested and not self._posted:
            self._posted = True
            if store.add("requests", 1) == 1:
                store.set("request", str(self._requested))
                store.set("event", "")
        if not store.check(["event"]):  # the only line of most polls
            return
        self._read_failure(store)
        if self._failure is not None:
            self._end_with_it(self._failure)
        if not self.number and store.check(["request"]):
            self.number = int(store.get("request"))
        if self.number and not self._published:
            with self._lock:
                self._held = True
            self._publish(store)
        if self._published and self._target is None and store.check(["target"]):
            self._target = json.loads(store.get("target"))
            self._known.set()

    def _publish(self, store: Any) -> None:
        """Write the position that this rank has passed; the last rank finds the result."""
        with self._lock:
            if self._published:
                return
            self._published = True
        store.set(f"passed/{self._rank}", json.dumps(list(self._passed)))
        if store.add("published", 1) == self._world_size:
            passed = [json.loads(store.get(f"passed/{rank}")) for rank in range(self._world_size)]
            store.set("target", json.dumps(max(passed)))

    def _read_failure(self, store: Any) -> None:
        if self._failure is not None or not store.check(["failure"]):
            return
        note = json.loads(store.get("failure"))
        if note["rank"] != self._rank:
            self._traceback = note["traceback"].rstrip()
            self._failure = RankLost("the run", {note["rank"]: note["reason"]})

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._report(self._failure)
            raise self._failure

    def _report(self, failure: RankLost) -> None:
        """Log the error of the other rank, once."""
        if self._traceback:
            logger.error("%s; this rank ends, too. Its error:\n%s", failure, self._traceback)
            self._traceback = ""

    def _end_with_it(self, failure: RankLost) -> None:
        """Let the training raise; end a process that still waits for the rank that failed."""
        # Ranks that raise the same error leave by themselves.
        if self._closed.wait(_LEAVE_SECONDS / 10):
            return
        self._report(failure)
        if not self._closed.wait(_LEAVE_SECONDS):
            end_process(str(failure), 1)


def end_process(reason: str, code: int) -> None:
    """End this process at once, although its main thread cannot be interrupted.

    Args:
        reason: The message on stderr.
        code: The exit code.
    """
    try:
        os.write(2, f"{reason}; this process ends now (exit code {code})\n".encode())
        for stream in (sys.stdout, sys.stderr):
            call_with_timeout(1.0, stream.flush)
    except (*STORE_ERRORS, ValueError):
        pass  # a closed terminal, or a stream that the main thread holds
    os._exit(code)


def _record_failure(store: Any, note: str) -> None:
    if store.add("failures", 1) == 1:
        store.set("failure", note)
        store.set("event", "")
