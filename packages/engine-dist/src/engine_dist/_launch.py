"""Start a process group from the environment variables of a launcher."""

import logging
import math
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as torch_dist

from engine_dist._groups import set_group_timeout
from engine_dist._launchers import Launch, read_launch, writes_heartbeats
from engine_dist._rendezvous import Rendezvous, open_rendezvous
from engine_dist.watch import watch_launcher
from engine_dist.watch._broken import is_broken
from engine_dist.watch._monitor import MonitorTiming, RankMonitor
from engine_dist.watch._process import (
    install_handlers,
    start_monitor,
    stop_monitor,
)

logger = logging.getLogger("engine.dist")

_DEFAULT_PORT = 29500
_DEFAULT_TIMEOUT = 1800.0  # torch's default for gloo; for nccl it is shorter
_DEVICE_OF_BACKEND = {"nccl": "cuda", "hccl": "npu", "cncl": "mlu", "xccl": "xpu"}


def init_dist(
    launcher: str,
    backend: str = "nccl",
    init_backend: str = "torch",
    *,
    heartbeat: bool | None = None,
    **kwargs: Any,
) -> None:
    """Join the process group of a launch, and monitor its ranks from then on.

    Reads the launcher's environment variables and picks this process's accelerator by its local
    rank. Sets ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and
    ``MASTER_PORT`` for code that reads them; the last two are kept where they are set already.
    Then waits until all ranks have joined, and makes the default process group.

    A rank whose launcher was killed ends within seconds, or stops after its step and saves where a
    training handles that.

    After that, an unhandled exception is recorded in two places: in the group's store, where the
    other ranks read it, and in the error file of torchrun.

    Args:
        launcher: The launcher that started the processes: ``pytorch`` (torchrun), ``slurm`` or
            ``mpi``.
        backend: ``nccl``, ``gloo``, ``mpi`` or any other that torch supports. Without a CUDA
            device, ``nccl`` is replaced by torch's default for the available device (``gloo`` on
            the CPU).
        init_backend: The library that makes the group: ``torch``. Other libraries attach to that
            group by themselves.
        heartbeat: Whether each rank writes a heartbeat into the group's store, one to ten times per
            second, so that errors can name a killed or frozen rank. None for the value of
            ``ENGINE_DIST_HEARTBEAT`` (``1`` or ``0``). If that is not set, heartbeats are written
            unless torchrun or slurm supervises the ranks.
        **kwargs: Passed to `torch.distributed.init_process_group`. ``timeout`` may also be a number
            of seconds. Within this time, a collective that waits for a lost rank raises `RankLost`,
            which names the rank. With ``init_method``, ``MASTER_ADDR`` is not needed.

    Raises:
        ValueError: The launcher, the backend or ``init_backend`` is unknown, or a variable or the
            timeout has an invalid value.
        RuntimeError: The launcher's variables are not set, a group exists already, or the backend
            has no device on this machine.
        RankLost: A rank did not join within the timeout, or died before it did.
        DistError: Two processes were given the same rank, or the port is taken.
    """
    if init_backend != "torch":
        raise ValueError(
            f"init_backend must be 'torch', got {init_backend!r}; libraries such as DeepSpeed "
            "attach to the group of torch, so leave it out"
        )
    if torch_dist.is_initialized():
        raise RuntimeError(
            "a process group exists already; call torch.distributed.destroy_process_group first"
        )
    install_handlers()  # first, to report a rank that fails below
    launch = read_launch(launcher, os.environ)
    watch_launcher(launcher, os.environ)
    beats = writes_heartbeats(heartbeat, launcher, os.environ)
    _export(launch, needs_address=_is_by_address(kwargs))
    backend = _available_backend(backend.lower())
    if (device := _take_device(backend, launch.local_rank)) is not None:
        kwargs.setdefault("device_id", device)
    timing, limit = _time_limits(kwargs.pop("timeout", None))
    rank = int(kwargs.pop("rank", launch.rank))
    world_size = int(kwargs.pop("world_size", launch.world_size))
    rendezvous = _rendezvous_of(kwargs, rank, world_size, timedelta(seconds=timing.collective))
    arguments = {"rank": rank, "world_size": world_size, "timeout": limit} | kwargs
    if world_size == 1:  # no other rank can be lost
        torch_dist.init_process_group(backend, store=rendezvous.store, **arguments)
    else:
        monitor = start_monitor(rendezvous, rank, world_size, timing, heartbeat=beats)
        _join_group(monitor, rendezvous, backend, arguments)
    set_group_timeout(limit)


def _join_group(
    monitor: RankMonitor, rendezvous: Rendezvous, backend: str, arguments: Mapping[str, Any]
) -> None:
    """Create the group of monitored ranks; the error names a rank that is lost meanwhile."""
    try:
        monitor.enter("init_dist")
        # Before torch's own wait, whose error does not name a rank.
        monitor.wait_for_all_ranks()
        torch_dist.init_process_group(backend, store=rendezvous.store, **arguments)
        monitor.attach()
        monitor.leave()
    except Exception as error:
        ranks = range(monitor.world_size)
        lost = monitor.find_lost("init_dist", ranks) if is_broken(error) else None
        # Before raising, because the other ranks wait for this one and read its record.
        stop_monitor(error)
        if lost is None or not lost.ranks:
            raise  # the backend's own error, such as two ranks on one device
        raise lost from error


def _is_by_address(kwargs: Mapping[str, Any]) -> bool:
    return "store" not in kwargs and (kwargs.get("init_method") or "env://").startswith("env:")


def _rendezvous_of(
    kwargs: dict[str, Any], rank: int, world_size: int, timeout: timedelta
) -> Rendezvous:
    """Open the store that the arguments for torch specify, and remove those arguments."""
    init_method = kwargs.pop("init_method", None)
    if (store := kwargs.pop("store", None)) is not None:
        return Rendezvous(store=store, place="the given store")
    return open_rendezvous(init_method, rank, world_size, timeout)


def _time_limits(timeout: float | timedelta | None) -> tuple[MonitorTiming, timedelta | None]:
    """Divide the timeout between the backend's wait and the search for the lost rank."""
    if timeout is None:
        return MonitorTiming.for_timeout(_DEFAULT_TIMEOUT), None
    if not isinstance(timeout, int | float | timedelta):
        raise TypeError(f"timeout must be seconds or a timedelta, got {timeout!r}")
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not 0 < seconds < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
    timing = MonitorTiming.for_timeout(seconds)
    return timing, timedelta(seconds=timing.collective)


def _available_backend(backend: str) -> str:
    """Check the backend, and replace nccl if there is no CUDA device."""
    for name in (entry.rpartition(":")[2] for entry in backend.split(",")):
        if name not in torch_dist.Backend.backend_list:
            known = [name for name in torch_dist.Backend.backend_list if name != "undefined"]
            raise ValueError(f"backend must be one of {', '.join(known)}, got {name!r}")
    if backend != "nccl" or torch.cuda.is_available():
        return backend
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    chosen = torch_dist.get_default_backend_for_device(accelerator or "cpu")
    logger.info("no CUDA device: the process group uses %s instead of nccl", chosen)
    return chosen


def _take_device(backend: str, local_rank: int) -> torch.device | None:
    """Select the accelerator of this process by its local rank.

    Returns:
        The device to bind the group to; None unless it is the native device of the backend.

    Raises:
        RuntimeError: The backend needs a device that this machine does not have.
    """
    found = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
    kinds = {_DEVICE_OF_BACKEND.get(entry.rpartition(":")[2]) for entry in backend.split(",")}
    if missing := kinds - {None, found.type if found else None}:
        raise RuntimeError(
            f"the backend {backend!r} needs a device of type {missing.pop()!r}, but this machine "
            f"has {found.type if found else 'no accelerator'}; on the CPU use 'gloo'"
        )
    if not found:
        return None
    module = torch.get_device_module(found)
    # The remainder, because slurm may show only one device to each process. It then has index 0.
    index = local_rank % max(module.device_count(), 1)
    if hasattr(module, "set_device"):  # Apple's module has only one device
        module.set_device(index)
    return torch.device(found.type, index) if kinds == {found.type} else None


def _export(launch: Launch, *, needs_address: bool) -> None:
    os.environ["RANK"] = str(launch.rank)
    os.environ["WORLD_SIZE"] = str(launch.world_size)
    os.environ["LOCAL_RANK"] = str(launch.local_rank)
    if launch.local_size is not None:
        os.environ["LOCAL_WORLD_SIZE"] = str(launch.local_size)
    if not needs_address:
        return
    if launch.address is not None:
        # An address that the user exports has priority over the launcher's address.
        os.environ.setdefault("MASTER_ADDR", launch.address)
    os.environ.setdefault("MASTER_PORT", str(launch.port or _DEFAULT_PORT))
