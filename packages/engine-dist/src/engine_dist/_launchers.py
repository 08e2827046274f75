"""Read the environment variables that a launcher sets for its processes."""

import os
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, overload


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The rank of this process in a launch, the number of ranks, and the address of rank 0.

    ``address`` and ``port`` are None if the launcher does not provide them.
    """

    rank: int
    world_size: int
    local_rank: int
    local_size: int | None = None
    address: str | None = None
    port: int | None = None


def read_launch(launcher: str, environ: Mapping[str, str]) -> Launch:
    """Read the rank of this process and related values from the variables of a launcher.

    Raises:
        ValueError: The launcher is unknown, or a variable has an invalid value.
        RuntimeError: A variable that the launcher sets is missing.
    """
    if launcher not in _LAUNCHERS:
        raise ValueError(f"launcher must be one of {', '.join(_LAUNCHERS)}, got {launcher!r}")
    launch = _LAUNCHERS[launcher](environ)
    if not 0 <= launch.rank < launch.world_size:
        raise ValueError(
            f"rank {launch.rank} is not one of {launch.world_size} ranks, which count from 0: "
            f"check the environment, or start with {_COMMANDS[launcher]}"
        )
    return launch


def infer_launcher() -> Literal["pytorch", "slurm", "mpi", "none"]:
    """Return the launcher that started this process, by its environment variables.

    Returns:
        ``pytorch`` for torchrun, ``slurm`` for srun, ``mpi`` for mpirun, and ``none`` for a process
        that no launcher started. The shell of ``sbatch`` or ``salloc`` is such a process: it has
        variables of slurm, but the other ranks start with ``srun``.

    Example:
        >>> infer_launcher()
        'none'
    """
    return _launcher_in(os.environ)


def _launcher_in(environ: Mapping[str, str]) -> Literal["pytorch", "slurm", "mpi", "none"]:
    if "WORLD_SIZE" in environ:
        return "pytorch"
    if any(name in environ for group in _MPI_VARIABLES[:2] for name in (group[0], group[2])):
        return "mpi"  # also inside of slurm, by which mpirun starts its helpers
    in_job_shell = "SLURM_JOB_ID" in environ and "SLURM_STEP_ID" not in environ
    if "SLURM_NTASKS" in environ and not in_job_shell:
        return "slurm"
    names = {name for group in _MPI_VARIABLES for name in (group[0], group[2])}
    return "none" if names.isdisjoint(environ) else "mpi"


def writes_heartbeats(heartbeat: bool | None, launcher: str, environ: Mapping[str, str]) -> bool:
    """Return whether ranks write heartbeats.

    Args:
        heartbeat: The choice of the caller. None uses ``ENGINE_DIST_HEARTBEAT``. If that is not
            set, heartbeats are written unless the launcher supervises the ranks.
        launcher: The name of the launcher.
        environ: The environment variables.

    Raises:
        ValueError: ``ENGINE_DIST_HEARTBEAT`` is neither 0 nor 1.
    """
    if heartbeat is not None:
        return heartbeat
    choice = environ.get("ENGINE_DIST_HEARTBEAT")
    if choice not in (None, "0", "1"):
        raise ValueError(f"ENGINE_DIST_HEARTBEAT must be 0 or 1, got {choice!r}")
    return not _is_supervised(launcher, environ) if choice is None else choice == "1"


def _is_supervised(launcher: str, environ: Mapping[str, str]) -> bool:
    """Return whether the launcher detects a rank that dies, reports it and ends the others.

    The agent of torchrun does, and so does slurm. For ``mpirun`` this depends on its kind and
    settings, so the result is False.
    """
    # Check the variables too: a script may run under slurm with the launcher "pytorch".
    variables = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID")
    return launcher == "slurm" or any(name in environ for name in variables)


def _read_torchrun(environ: Mapping[str, str]) -> Launch:
    rank = _number(environ, "RANK", launcher="pytorch")
    return Launch(
        rank=rank,
        world_size=_number(environ, "WORLD_SIZE", launcher="pytorch"),
        local_rank=_optional(environ, "LOCAL_RANK", default=rank),
        local_size=_optional(environ, "LOCAL_WORLD_SIZE"),
    )


def _read_slurm(environ: Mapping[str, str]) -> Launch:
    """Read the variables of srun. Rank 0 is on the first node of the list."""
    nodes = _first(environ, "SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
    tasks = _first(environ, "SLURM_STEP_NUM_TASKS")  # the job may have more tasks than the step
    return Launch(
        rank=_number(environ, "SLURM_PROCID", launcher="slurm"),
        world_size=int(tasks) if tasks else _number(environ, "SLURM_NTASKS", launcher="slurm"),
        local_rank=_number(environ, "SLURM_LOCALID", launcher="slurm"),
        local_size=_tasks_of_node(environ),
        address=first_host(nodes) if nodes else None,
        port=_port_of_job(environ),
    )


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _port_of_job(environ: Mapping[str, str]) -> int | None:
    """Derive a port from job and step: steps on one node must have different ports."""
    job, step = environ.get("SLURM_JOB_ID", ""), environ.get("SLURM_STEP_ID", "")
    if not job.isdecimal():
        return None
    # Below the range of ephemeral ports.
    return 20000 + (int(job) + 1000 * int(step if step.isdecimal() else 0)) % 10000


def _tasks_of_node(environ: Mapping[str, str]) -> int | None:
    """Return the number of tasks on this node, from slurm's list such as ``2(x3),1``."""
    tasks = _first(environ, "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
    node = _optional(environ, "SLURM_NODEID")
    if tasks is None or node is None:
        return None
    counts: list[int] = []
    for count, repeat in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks):
        counts += [int(count)] * int(repeat or 1)
    return counts[node] if node < len(counts) else None


def first_host(nodes: str) -> str:
    """Return the first host of slurm's compact notation.

    Example:
        >>> first_host("gpu[07-09,12],login1")
        'gpu07'
    """
    # Split at commas outside of brackets: commas inside separate the numbers of one prefix.
    first = re.split(r",(?![^\[]*\])", nodes)[0]
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first)


# The variables for rank, size, local rank and local size of Open MPI, MVAPICH2, and MPICH or Intel
# MPI.
_OPEN_MPI = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
_MPI_VARIABLES = (
    tuple(f"OMPI_COMM_WORLD_{name}" for name in _OPEN_MPI),
    tuple(f"MV2_COMM_WORLD_{name}" for name in _OPEN_MPI),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


def _read_mpi(environ: Mapping[str, str]) -> Launch:
    """Read the variables of the mpirun of Open MPI, MVAPICH2, MPICH or Intel MPI, or of srun."""
    if _starts_mpi_by_srun(environ):
        return _read_slurm(environ)  # it has the address of rank 0, too
    names = next((names for names in _MPI_VARIABLES if names[0] in environ), _MPI_VARIABLES[0])
    rank, world_size = (_number(environ, name, launcher="mpi") for name in names[:2])
    local_size = _optional(environ, names[3])
    job = environ.get("PMIX_NAMESPACE")  # Open MPI's name of the launch; others do not set it
    # If all ranks are on one machine, the address is known. A checksum of the launch's name gives a
    # port that is equal on all ranks and differs between launches.
    return Launch(
        rank=rank,
        world_size=world_size,
        local_rank=_optional(environ, names[2], default=rank),
        local_size=local_size,
        address="127.0.0.1" if local_size == world_size else None,
        port=20000 + zlib.crc32(job.encode()) % 10000 if job else None,
    )


def _starts_mpi_by_srun(environ: Mapping[str, str]) -> bool:
    """Return whether ``srun --mpi=pmi2`` or ``--mpi=pmix`` started this rank, without a mpirun.

    A mpirun inside of slurm starts its own helper by srun, one per node. Its ranks have the
    variables of that helper, with another rank or size.
    """
    if any(group[0] in environ for group in _MPI_VARIABLES[:2]):
        return False
    tasks = _first(environ, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    place = (environ.get("SLURM_PROCID"), tasks)
    return None not in place and place in (
        (environ.get("PMI_RANK"), environ.get("PMI_SIZE")),
        (environ.get("PMIX_RANK"), tasks),
    )


def _number(environ: Mapping[str, str], name: str, *, launcher: str) -> int:
    if name not in environ:
        raise RuntimeError(
            f"{name} is not set, but the launcher {launcher!r} sets it: "
            f"start with {_COMMANDS[launcher]}{_other_launcher(environ, launcher)}"
        )
    return _integer(name, environ[name])


def _other_launcher(environ: Mapping[str, str], launcher: str) -> str:
    """Return a hint about what did start this process, as the end of a message."""
    found = _launcher_in(environ)
    if found not in ("none", launcher):
        return f"; this process was started by the launcher {found!r}: use that"
    if launcher == "slurm" and "SLURM_JOB_ID" in environ:
        return "; this is the shell of the job, in which srun starts the ranks"
    return ""


@overload
def _optional(environ: Mapping[str, str], name: str) -> int | None: ...
@overload
def _optional(environ: Mapping[str, str], name: str, default: int) -> int: ...
def _optional(environ: Mapping[str, str], name: str, default: int | None = None) -> int | None:
    return _integer(name, environ[name]) if name in environ else default


def _integer(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"{name} must be an integer >= 0, got {value!r} in the environment")
    return int(value)


_COMMANDS = {
    "pytorch": "`torchrun --nproc-per-node=N script.py`",
    "slurm": "`srun --ntasks=N python script.py`",
    "mpi": "`mpirun -n N python script.py`",
}
_LAUNCHERS: dict[str, Callable[[Mapping[str, str]], Launch]] = {
    "pytorch": _read_torchrun,
    "slurm": _read_slurm,
    "mpi": _read_mpi,
}
