"""Number the attempts of one torchrun: its agent's store outlives the processes of an attempt.

torchrun ends all processes after a failure and starts new ones (``--max-restarts``). The store of
its agent keeps the keys of the ended processes, and the new ones would connect to their addresses.
Therefore each attempt uses keys of its own, under its number.

``TORCHELASTIC_RESTART_COUNT`` is not that number: each machine's agent counts only the failures of
its own processes. Therefore rank 0 counts the attempts in the store, and answers the other ranks.
"""

import os
import uuid
from datetime import timedelta
from typing import Any

from torch.distributed import (  # type: ignore[attr-defined]  # torch exports it without stating it
    TCPStore,
)

_COUNTER = "engine_dist/attempts"
_REQUESTS = "engine_dist/requests"
_CONNECT_SECONDS = 60.0

_attempt: int | None = None


def uses_agent_store() -> bool:
    """Return whether the agent of torchrun holds the store, which then outlives this process."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def restart_count() -> int:
    """Return how many attempts of this launch came before this one, equal on all ranks.

    0 before `init_dist`, and if torchrun did not start this process.
    """
    return _attempt or 0


def first_of_launch(name: str, value: str) -> str | None:
    """Return the value that the first caller of this launch gave; torchrun's restarts share it.

    Args:
        name: The name of the value.
        value: The value, if this process is the first caller. Must not be empty.

    Returns:
        The value of the first caller, which may belong to an earlier attempt. None if no store
        outlives this process.

    Raises:
        RuntimeError: The store does not answer.
    """
    if not uses_agent_store():
        return None
    # A separate connection: the group may not exist yet, and a request blocks its connection.
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        None,
        False,
        timedelta(seconds=_CONNECT_SECONDS),
        wait_for_workers=False,
    )
    first: bytes = store.compare_set(f"engine_dist/first/{name}", "", value)
    return first.decode()


class Rounds:
    """Agree on a number for each group that the processes of a launch create.

    Args:
        store: The agent's store, without prefixes.
        rank: This process's rank.
    """

    def __init__(self, store: Any, rank: int) -> None:
        self._store = store
        self._rank = rank
        self._answered: set[int] = set()
        self.number = self._count() if rank == 0 else self._ask()
        _note_attempt(self.number)

    def answer(self) -> None:
        """Answer the other ranks; rank 0 calls this repeatedly until all have joined."""
        if self._rank != 0:
            return
        for position in range(1, int(self._store.add(_REQUESTS, 0)) + 1):
            key = f"{_REQUESTS}/{position}"
            # Those of ended processes are answered too, which nobody reads. A rank first counts its
            # request, then writes it.
            if position in self._answered or not self._store.check([key]):
                continue
            self._answered.add(position)
            self._store.set(f"{_REQUESTS}/{self._store.get(key).decode()}", str(self.number))

    def _count(self) -> int:
        return int(self._store.add(_COUNTER, 1)) - 1

    def _ask(self) -> int:
        """Wait for rank 0 of this attempt: a key that it wrote before may be of an earlier one."""
        token = uuid.uuid4().hex
        position = self._store.add(_REQUESTS, 1)
        self._store.set(f"{_REQUESTS}/{position}", token)
        answer: bytes = self._store.get(f"{_REQUESTS}/{token}")  # waits up to the store's timeout
        return int(answer)


def _note_attempt(number: int) -> None:
    """Keep the number of this process's first group: later groups are not later attempts."""
    global _attempt
    if _attempt is None:
        _attempt = number
