"""Open the key-value store through which the ranks of a new group find each other."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlparse

import torch.distributed as torch_dist
from torch.distributed import (  # type: ignore[attr-defined]  # torch exports them without stating it
    TCPStore,
    rendezvous,
)
from torch.distributed.distributed_c10d import PrefixStore

from engine_dist._errors import DistError, RankLost
from engine_dist._rounds import Rounds, uses_agent_store


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """The store through which the ranks of a new group find each other.

    Attributes:
        store: The store of torch.
        place: The location of the store, as part of an error message.
        store_rank: The rank whose process holds the store; None if a file or the launcher holds it.
        base: ``store`` without the prefix of this attempt; None if there is none.
        round: The number of the group in a store that outlives the processes; else 0.
        answer: The function that rank 0 calls until all ranks have joined.
    """

    store: Any
    place: str
    store_rank: int | None = None
    base: Any = None
    round: int = 0
    answer: Callable[[], None] = lambda: None


def open_rendezvous(
    init_method: str | None, rank: int, world_size: int, timeout: timedelta
) -> Rendezvous:
    """Open the store that an ``init_method`` of torch names, without waiting for the other ranks.

    Args:
        init_method: ``env://`` (also if None: the address is in ``MASTER_ADDR`` and
            ``MASTER_PORT``), ``tcp://host:port``, ``file://path`` or another that torch supports.
        rank: This process's rank.
        world_size: The number of ranks.
        timeout: The maximum time to connect to a store of another process.

    Raises:
        ValueError: The address is not usable.
        RuntimeError: ``MASTER_ADDR`` is not set.
        RankLost: The process that should hold the store does not answer.
        DistError: This process should hold the store, but the port is taken.
    """
    url = urlparse(init_method or "env://")
    if url.scheme == "env":
        address = _address_of_environment()
    elif url.scheme == "tcp":
        if url.hostname is None or url.port is None:
            raise ValueError(f"init_method must be tcp://host:port, got {init_method!r}")
        address = (url.hostname, url.port)
    else:
        # Use only the store of torch's rendezvous: its own wait cannot name the missing ranks.
        (store, _, _) = next(rendezvous(str(init_method), rank, world_size))
        store.set_timeout(timeout)
        return Rendezvous(store=store, place=str(init_method))
    return _open_tcp(address, rank, world_size, timeout)


def _address_of_environment() -> tuple[str, int]:
    host, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT", "")
    if not host:
        raise RuntimeError(
            "MASTER_ADDR is not set: export the host name or address of rank 0's machine"
        )
    if not port.isdecimal() or int(port) >= 2**16:
        raise ValueError(f"MASTER_PORT must be a port below 65536, got {port!r}; export another")
    return host, int(port)


def _open_tcp(
    address: tuple[str, int], rank: int, world_size: int, timeout: timedelta
) -> Rendezvous:
    host, port = address
    agent = uses_agent_store()
    holds = rank == 0 and not agent
    place = f"the store at {host}:{port}"
    try:
        store = TCPStore(
            host,
            port,
            world_size,
            is_master=holds,
            timeout=timeout,
            wait_for_workers=False,  # its error does not name the missing ranks
            multi_tenant=True,  # stores of this process at one port share a server
            use_libuv=os.environ.get("USE_LIBUV", "1") == "1",
        )
    except torch_dist.DistError as error:
        if holds:
            raise DistError(
                f"rank 0 cannot open {place}: {error}; export another MASTER_PORT on all ranks"
            ) from error
        hint = f"{place} never opened; check MASTER_ADDR and MASTER_PORT"
        raise RankLost("init_dist", {} if agent else {0: f"is not there: {hint}"}, hint) from error
    opened = Rendezvous(store=store, place=place, store_rank=None if agent else 0)
    return (
        _in_round(opened, rank, hint=f"{place} has no number of the attempt") if agent else opened
    )


def _in_round(opened: Rendezvous, rank: int, *, hint: str) -> Rendezvous:
    """Separate the keys of this attempt from those of the attempts before."""
    try:
        rounds = Rounds(opened.store, rank)
    except torch_dist.DistError as error:
        reasons = {0: "never joined: it did not call init_dist"} if rank else {}
        raise RankLost("init_dist", reasons, f"{hint}: {error}") from error
    store = PrefixStore(f"engine_dist/group/{rounds.number}", opened.store)
    return replace(
        opened, store=store, base=opened.store, round=rounds.number, answer=rounds.answer
    )
