"""Where the ranks of a process group meet: a key-value store that all of them reach."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlparse

import torch.distributed as torch_dist
from torch.distributed import (  # type: ignore[attr-defined]  # torch exports them unsaid
    TCPStore,
    rendezvous,
)

from engine_dist._errors import DistError, RankLost


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """The store of a group that is being made, and what to say about it in messages."""

    store: Any
    place: str
    host: int | None = None
    """The rank whose process holds the store; None if it lies elsewhere (a file, the launcher)."""


def open_meeting(
    init_method: str | None, rank: int, world_size: int, timeout: timedelta
) -> Meeting:
    """Open the store that an ``init_method`` of torch names, without waiting for the other ranks.

    Args:
        init_method: ``env://`` (also if None: the address is in ``MASTER_ADDR`` and
            ``MASTER_PORT``), ``tcp://host:port``, ``file://path`` or another that torch knows.
        rank: This process's rank.
        world_size: The number of ranks.
        timeout: How long to try to reach a store of another process.

    Raises:
        ValueError: The address is not usable.
        RankLost: The process that should hold the store does not answer.
        DistError: This process should hold it, but the port is taken.
    """
    url = urlparse(init_method or "env://")
    if url.scheme == "env":
        address = _address_of_environment()
    elif url.scheme == "tcp":
        if url.hostname is None or url.port is None:
            raise ValueError(f"init_method={init_method!r}; it should be tcp://host:port")
        address = (url.hostname, url.port)
    else:
        (store, _, _) = next(rendezvous(str(init_method), rank, world_size))
        store.set_timeout(timeout)
        return Meeting(store=store, place=str(init_method))
    return _open_tcp(address, rank, world_size, timeout)


def _address_of_environment() -> tuple[str, int]:
    host, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT", "")
    if not host:
        raise RuntimeError(
            "MASTER_ADDR is not set: export the host name or address of rank 0's machine"
        )
    if not port.isdecimal() or int(port) >= 2**16:
        raise ValueError(f"MASTER_PORT={port!r} is not a port; export a number below 65536")
    return host, int(port)


def _open_tcp(address: tuple[str, int], rank: int, world_size: int, timeout: timedelta) -> Meeting:
    host, port = address
    # torchrun's agent holds the store itself, and says so by this variable.
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    holds = rank == 0 and not agent
    place = f"the store at {host}:{port}"
    try:
        store = TCPStore(
            host,
            port,
            world_size,
            is_master=holds,
            timeout=timeout,
            wait_for_workers=False,  # it could only say how many are missing, not which
            multi_tenant=True,
            use_libuv=os.environ.get("USE_LIBUV", "1") == "1",
        )
    except torch_dist.DistError as error:
        if holds:
            raise DistError(
                f"rank 0 cannot open {place}: {error}; export another MASTER_PORT on all ranks"
            ) from error
        hint = f"{place} never opened; check MASTER_ADDR and MASTER_PORT"
        raise RankLost("init_dist", {} if agent else {0: f"is not there: {hint}"}, hint) from error
    return Meeting(store=store, place=place, host=None if agent else 0)
