"""Starting a process group from what a launcher left in the environment."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as torch_dist

from engine_dist._groups import remember_timeout
from engine_dist._watch import Pace, start_watch

logger = logging.getLogger("engine.dist")

_DEFAULT_PORT = 29500
_DEFAULT_TIMEOUT = 1800.0  # torch's own for gloo; nccl's is shorter
_DEVICE_OF_BACKEND = {"nccl": "cuda", "hccl": "npu", "cncl": "mlu", "xccl": "xpu"}


@dataclass(frozen=True, kw_only=True)
class Launch:
    """This process's place among those that were launched together."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int | None = None
    address: str | None = None
    port: int | None = None


def init_dist(launcher: str, backend: str = "nccl", **kwargs: Any) -> None:
    """Join the process group of a launch, and watch over its ranks from then on.

    Reads the launcher's environment variables, picks this process's accelerator by its local rank,
    sets ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and
    ``MASTER_PORT`` for those that read them, and makes the default process group.

    Args:
        launcher: Who started the processes: ``pytorch`` (torchrun), ``slurm`` or ``mpi``.
        backend: ``nccl``, ``gloo``, ``mpi`` or any other that torch knows. Where there is no CUDA
            device, ``nccl`` stands for what torch uses on the devices that there are (``gloo`` on
            the CPU).
        **kwargs: Passed to `torch.distributed.init_process_group`. ``timeout`` may also be a number
            of seconds: within it, a collective that misses a rank ends with `RankLost`, which names
            the rank. With ``init_method`` no address is needed.

    Raises:
        ValueError: The launcher is unknown.
        RuntimeError: The launcher's variables are not set, or a group exists already.
    """
    if launcher not in _LAUNCHERS:
        raise ValueError(f"unknown launcher {launcher!r}; choose from {', '.join(_LAUNCHERS)}")
    launch = _LAUNCHERS[launcher](os.environ)
    _export(launch, needs_address="init_method" not in kwargs and "store" not in kwargs)
    backend = _available_backend(backend)
    if (kind := _DEVICE_OF_BACKEND.get(backend)) is not None:
        module = torch.get_device_module(kind)
        index = launch.local_rank % module.device_count()
        module.set_device(index)
        kwargs.setdefault("device_id", torch.device(kind, index))
    pace, kwargs["timeout"] = _time_limits(kwargs.get("timeout"))
    kwargs.setdefault("rank", launch.rank)
    kwargs.setdefault("world_size", launch.world_size)
    torch_dist.init_process_group(backend, **kwargs)
    remember_timeout(kwargs["timeout"])
    start_watch(pace)


def _time_limits(timeout: float | timedelta | None) -> tuple[Pace, timedelta | None]:
    """Split the timeout into what the back end may wait and what finding the culprit may take."""
    if timeout is None:
        return Pace.for_timeout(_DEFAULT_TIMEOUT), None
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if seconds <= 0:
        raise ValueError(f"timeout={timeout!r} must be positive; it is in seconds")
    pace = Pace.for_timeout(seconds)
    return pace, timedelta(seconds=seconds - pace.window)


def _available_backend(backend: str) -> str:
    if backend != "nccl" or torch.cuda.is_available():
        return backend
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    chosen = torch_dist.get_default_backend_for_device(accelerator or "cpu")
    logger.info("no CUDA device: the process group uses %s instead of nccl", chosen)
    return chosen


def _export(launch: Launch, *, needs_address: bool) -> None:
    os.environ["RANK"] = str(launch.rank)
    os.environ["WORLD_SIZE"] = str(launch.world_size)
    os.environ["LOCAL_RANK"] = str(launch.local_rank)
    if launch.local_size is not None:
        os.environ["LOCAL_WORLD_SIZE"] = str(launch.local_size)
    if not needs_address:
        return
    if "MASTER_ADDR" not in os.environ:
        if launch.address is None:
            raise RuntimeError(
                "MASTER_ADDR is not set: export the host name or address of rank 0's machine"
            )
        os.environ["MASTER_ADDR"] = launch.address
    os.environ.setdefault("MASTER_PORT", str(launch.port or _DEFAULT_PORT))


def read_torchrun(environ: Mapping[str, str]) -> Launch:
    """Read what torchrun tells each of its processes."""
    local_size = environ.get("LOCAL_WORLD_SIZE")
    rank = _number(environ, "RANK", launcher="pytorch")
    return Launch(
        rank=rank,
        world_size=_number(environ, "WORLD_SIZE", launcher="pytorch"),
        local_rank=int(environ.get("LOCAL_RANK", rank)),
        local_size=None if local_size is None else int(local_size),
    )


def read_slurm(environ: Mapping[str, str]) -> Launch:
    """Read what srun tells each task; the first node of the list is rank 0's."""
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_NODELIST")
    job = environ.get("SLURM_JOB_ID", "")
    return Launch(
        rank=_number(environ, "SLURM_PROCID", launcher="slurm"),
        world_size=_number(environ, "SLURM_NTASKS", launcher="slurm"),
        local_rank=_number(environ, "SLURM_LOCALID", launcher="slurm"),
        local_size=_tasks_of_node(environ),
        address=first_host(nodes) if nodes else None,
        # Jobs that share a node must not share a port; below the range that systems hand out.
        port=20000 + int(job) % 10000 if job.isdigit() else None,
    )


def _tasks_of_node(environ: Mapping[str, str]) -> int | None:
    """Read how many tasks this node runs from slurm's list for all nodes, such as ``2(x3),1``."""
    tasks = environ.get("SLURM_STEP_TASKS_PER_NODE") or environ.get("SLURM_TASKS_PER_NODE")
    node = environ.get("SLURM_NODEID")
    if tasks is None or node is None:
        return None
    counts: list[int] = []
    for count, repeat in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks):
        counts += [int(count)] * int(repeat or 1)
    return counts[int(node)] if int(node) < len(counts) else None


def first_host(nodes: str) -> str:
    """Return the first host of slurm's compact notation.

    Example:
        >>> first_host("gpu[07-09,12],login1")
        'gpu07'
    """
    first = re.split(r",(?![^\[]*\])", nodes)[0]
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first)


# How Open MPI, MVAPICH2, MPICH and Intel MPI name rank, size, local rank and local size.
_OPEN_MPI = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
_MPI_VARIABLES = (
    tuple(f"OMPI_COMM_WORLD_{name}" for name in _OPEN_MPI),
    tuple(f"MV2_COMM_WORLD_{name}" for name in _OPEN_MPI),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


def read_mpi(environ: Mapping[str, str]) -> Launch:
    """Read what the mpirun of Open MPI, MVAPICH2, MPICH or Intel MPI tells each process."""
    names = next((names for names in _MPI_VARIABLES if names[0] in environ), _MPI_VARIABLES[0])
    rank, world_size = (_number(environ, name, launcher="mpi") for name in names[:2])
    local_size = int(environ[names[3]]) if names[3] in environ else None
    return Launch(
        rank=rank,
        world_size=world_size,
        local_rank=int(environ.get(names[2], rank)),
        local_size=local_size,
        address="127.0.0.1" if local_size == world_size else None,
    )


def _number(environ: Mapping[str, str], name: str, *, launcher: str) -> int:
    if name not in environ:
        raise RuntimeError(
            f"{name} is not set, though the launcher {launcher!r} sets it: "
            f"start with {_COMMANDS[launcher]}"
        )
    return int(environ[name])


_COMMANDS = {
    "pytorch": "`torchrun --nproc-per-node=N script.py`",
    "slurm": "`srun --ntasks=N python script.py`",
    "mpi": "`mpirun -n N python script.py`",
}
_LAUNCHERS: dict[str, Callable[[Mapping[str, str]], Launch]] = {
    "pytorch": read_torchrun,
    "slurm": read_slurm,
    "mpi": read_mpi,
}
