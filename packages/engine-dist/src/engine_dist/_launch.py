"""Starting a process group from what a launcher left in the environment."""

import logging
import math
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as torch_dist

from engine_dist._groups import remember_timeout
from engine_dist._guard import is_broken, start_watch, stop_watch
from engine_dist._launchers import Launch, read_launch
from engine_dist._rendezvous import Meeting, open_meeting
from engine_dist._watch import Pace

logger = logging.getLogger("engine.dist")

_DEFAULT_PORT = 29500
_DEFAULT_TIMEOUT = 1800.0  # torch's own for gloo; nccl's is shorter
_DEVICE_OF_BACKEND = {"nccl": "cuda", "hccl": "npu", "cncl": "mlu", "xccl": "xpu"}


def init_dist(launcher: str, backend: str = "nccl", **kwargs: Any) -> None:
    """Join the process group of a launch, and watch over its ranks from then on.

    Reads the launcher's environment variables, picks this process's accelerator by its local rank,
    sets ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and
    ``MASTER_PORT`` for those that read them, waits until all ranks are here, and makes the default
    process group. ``MASTER_ADDR`` and ``MASTER_PORT`` are kept where they are set already.

    Args:
        launcher: Who started the processes: ``pytorch`` (torchrun), ``slurm`` or ``mpi``.
        backend: ``nccl``, ``gloo``, ``mpi`` or any other that torch knows. Where there is no CUDA
            device, ``nccl`` stands for what torch uses on the devices that there are (``gloo`` on
            the CPU).
        **kwargs: Passed to `torch.distributed.init_process_group`. ``timeout`` may also be a number
            of seconds: within it, a collective that misses a rank ends with `RankLost`, which names
            the rank. With ``init_method`` no address is needed.

    Raises:
        ValueError: The launcher or the backend is unknown, or a variable or the timeout is not
            what it should be.
        RuntimeError: The launcher's variables are not set, a group exists already, or the backend
            has no device on this machine.
        RankLost: A rank did not come within the timeout, or died on its way.
        DistError: Two processes were given the same rank, or the port is taken.
    """
    if torch_dist.is_initialized():
        raise RuntimeError(
            "a process group exists already; call torch.distributed.destroy_process_group first"
        )
    launch = read_launch(launcher, os.environ)
    _export(launch, needs_address=_is_by_address(kwargs))
    backend = _available_backend(backend.lower())
    if (device := _take_device(backend, launch.local_rank)) is not None:
        kwargs.setdefault("device_id", device)
    pace, limit = _time_limits(kwargs.pop("timeout", None))
    rank = int(kwargs.pop("rank", launch.rank))
    world_size = int(kwargs.pop("world_size", launch.world_size))
    meeting = _meet(kwargs, rank, world_size, timedelta(seconds=pace.wait))
    arguments = {"rank": rank, "world_size": world_size, "timeout": limit} | kwargs
    if world_size == 1:
        torch_dist.init_process_group(backend, store=meeting.store, **arguments)
    else:
        _join_watched(meeting, pace, backend, arguments)
    remember_timeout(limit)


def _join_watched(meeting: Meeting, pace: Pace, backend: str, arguments: Mapping[str, Any]) -> None:
    """Make the group of ranks that watch each other, from before it exists."""
    world_size = arguments["world_size"]
    watch = start_watch(meeting, arguments["rank"], world_size, pace)
    try:
        watch.enter("init_dist")
        watch.roll_call()
        torch_dist.init_process_group(backend, store=meeting.store, **arguments)
        watch.attach()
        watch.leave()
    except Exception as error:
        lost = watch.lost("init_dist", range(world_size)) if is_broken(error) else None
        stop_watch(error)
        if lost is None or not lost.ranks:
            raise  # the back end's own trouble, such as two ranks on one device
        raise lost from error


def _is_by_address(kwargs: Mapping[str, Any]) -> bool:
    return "store" not in kwargs and (kwargs.get("init_method") or "env://").startswith("env:")


def _meet(kwargs: dict[str, Any], rank: int, world_size: int, timeout: timedelta) -> Meeting:
    """Open the store that the arguments for torch name, and take its name out of them."""
    init_method = kwargs.pop("init_method", None)
    if (store := kwargs.pop("store", None)) is not None:
        return Meeting(store=store, place="the given store")
    return open_meeting(init_method, rank, world_size, timeout)


def _time_limits(timeout: float | timedelta | None) -> tuple[Pace, timedelta | None]:
    """Split the timeout into what the back end may wait and what finding the culprit may take."""
    if timeout is None:
        return Pace.for_timeout(_DEFAULT_TIMEOUT), None
    if not isinstance(timeout, int | float | timedelta):
        raise TypeError(f"timeout={timeout!r} is neither a number of seconds nor a timedelta")
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not 0 < seconds < math.inf:
        raise ValueError(f"timeout={timeout!r} must be positive and finite; it is in seconds")
    pace = Pace.for_timeout(seconds)
    return pace, timedelta(seconds=pace.wait)


def _available_backend(backend: str) -> str:
    """Check the backend, and replace nccl by another where there is no CUDA device."""
    for name in (entry.rpartition(":")[2] for entry in backend.split(",")):
        if name not in torch_dist.Backend.backend_list:
            known = [name for name in torch_dist.Backend.backend_list if name != "undefined"]
            raise ValueError(f"unknown backend {name!r}; choose from {', '.join(known)}")
    if backend != "nccl" or torch.cuda.is_available():
        return backend
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    chosen = torch_dist.get_default_backend_for_device(accelerator or "cpu")
    logger.info("no CUDA device: the process group uses %s instead of nccl", chosen)
    return chosen


def _take_device(backend: str, local_rank: int) -> torch.device | None:
    """Make an accelerator this process's own, by its local rank.

    Where each process sees one device only, as slurm can have it, all take the device 0 they see.

    Returns:
        The device to bind the group to; None unless the backend is the device's own.

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
    index = local_rank % max(module.device_count(), 1)
    if hasattr(module, "set_device"):  # Apple's has one device only
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
        os.environ.setdefault("MASTER_ADDR", launch.address)
    os.environ.setdefault("MASTER_PORT", str(launch.port or _DEFAULT_PORT))
