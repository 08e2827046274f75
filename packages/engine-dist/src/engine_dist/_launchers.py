"""Read the environment variables that a launcher sets for its processes."""

import os
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, overload


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The rank of this process in a launch, the number of ranks, and the address of rank 0.

    ``address`` and ``port`` are None if the launcher does not provide them.

    Example:
        >>> launch = read_launch("pytorch", {"RANK": "1", "WORLD_SIZE": "2"})
        >>> launch.rank, launch.world_size, launch.address
        (1, 2, None)
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
        ValueError: The launcher is unknown, or a variable has an invalid value, or one that
            contradicts another.
        RuntimeError: A variable that the launcher sets is missing, or another launcher has started
            this process.
    """
    if launcher not in _LAUNCHERS:
        raise ValueError(f"launcher must be one of {', '.join(_LAUNCHERS)}, got {launcher!r}")
    if launcher != "pytorch" and "TORCHELASTIC_RUN_ID" in environ:
        # Such as torchrun inside of srun: its ranks share the variables of one task of slurm.
        raise RuntimeError(
            f"torchrun started this process (TORCHELASTIC_RUN_ID is set), not the launcher "
            f"{launcher!r}: use the launcher 'pytorch', or start with {_COMMANDS[launcher]}"
        )
    return _LAUNCHERS[launcher](environ)


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
    if "SLURM_NTASKS" in environ and not _in_job_shell(environ):
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


# The names of the variables for rank, size, local rank and local size.
_Names = tuple[str, str, str, str]
_TORCHRUN: _Names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def _read_torchrun(environ: Mapping[str, str]) -> Launch:
    return _launch(environ, "pytorch", _TORCHRUN, _optional(environ, _TORCHRUN[3]))


def _launch(
    environ: Mapping[str, str], launcher: str, names: _Names, local_size: int | None
) -> Launch:
    """Read rank, size and local rank, and check that they fit one another.

    Raises:
        ValueError: A value is not an integer, or a rank is not below its size.
        RuntimeError: A variable is missing.
    """
    rank, size = (_number(environ, name, launcher=launcher) for name in names[:2])
    if launcher == "slurm":  # it always sets the local rank
        local_rank = _number(environ, names[2], launcher=launcher)
    else:
        local_rank = _optional(environ, names[2], default=rank)
    _require_below(names[:2], rank, size, launcher)
    if names[2] in environ and local_size is not None:
        _require_below(names[2:], local_rank, local_size, launcher)
    return Launch(rank=rank, world_size=size, local_rank=local_rank, local_size=local_size)


def _require_below(names: tuple[str, str], rank: int, size: int, launcher: str) -> None:
    if rank >= size:
        raise ValueError(
            f"{names[0]} must be below {names[1]}, as ranks count from 0, got {rank} of {size} in "
            f"the environment: correct or unset them, or start with {_COMMANDS[launcher]}"
        )


def _read_slurm(environ: Mapping[str, str]) -> Launch:
    """Read the variables of srun. Rank 0 is on the first node of the list."""
    # The job may have more tasks than the step.
    tasks = _first_name(environ, "SLURM_STEP_NUM_TASKS") or "SLURM_NTASKS"
    per_node = _first_name(environ, "SLURM_STEP_TASKS_PER_NODE") or "SLURM_TASKS_PER_NODE"
    names = ("SLURM_PROCID", tasks, "SLURM_LOCALID", per_node)
    launch = _launch(environ, "slurm", names, _tasks_of_node(environ, per_node))
    _require_step(environ)
    return replace(launch, address=_address_of_job(environ), port=_port_of_job(environ))


# The steps of a job that are not started by srun: the shells of `salloc` and `sbatch`.
_SHELL_STEPS = (None, "4294967290", "4294967291")


def _in_job_shell(environ: Mapping[str, str]) -> bool:
    return "SLURM_JOB_ID" in environ and environ.get("SLURM_STEP_ID") in _SHELL_STEPS


def _require_step(environ: Mapping[str, str]) -> None:
    """Raise in the shell of a job of several tasks.

    The shell has the variables of rank 0, which would wait for ranks that do not exist.
    """
    tasks = _optional(environ, "SLURM_NTASKS", default=1)
    if tasks > 1 and environ.get("SLURM_PROCID") == "0" and _in_job_shell(environ):
        step = environ.get("SLURM_STEP_ID", "not set, but srun sets it")
        raise RuntimeError(
            f"SLURM_STEP_ID is {step}: this is the shell of the job, in which srun starts the "
            f"{tasks} ranks; start with {_COMMANDS['slurm']}, and give a container all variables "
            "of srun"
        )


def _address_of_job(environ: Mapping[str, str]) -> str | None:
    """Return the first node of the step or the job.

    Raises:
        ValueError: The list of nodes is not one of slurm's, and no ``MASTER_ADDR`` replaces it.
    """
    name = _first_name(environ, "SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
    if name is None:
        return None
    host = first_host(environ[name])
    if re.fullmatch(r"[\w.:-]+", host):
        return host
    if environ.get("MASTER_ADDR"):
        return None
    raise ValueError(
        f"{name} must be a list of nodes such as gpu[01-04,07],login1, got {environ[name]!r} in "
        "the environment: start with srun, or export MASTER_ADDR, the host name or address of "
        "rank 0's machine"
    )


def _first_name(environ: Mapping[str, str], *names: str) -> str | None:
    return next((name for name in names if environ.get(name)), None)


def _port_of_job(environ: Mapping[str, str]) -> int | None:
    """Derive a port from job and step: steps on one node must have different ports."""
    job, step = environ.get("SLURM_JOB_ID", ""), environ.get("SLURM_STEP_ID", "")
    if not job.isdecimal():
        return None
    # Below the range of ephemeral ports.
    return 20000 + (int(job) + 1000 * int(step if step.isdecimal() else 0)) % 10000


def _tasks_of_node(environ: Mapping[str, str], name: str) -> int | None:
    """Return the number of tasks on this node, from slurm's list such as ``2(x3),1``.

    Raises:
        ValueError: The list has no number for this node, which contradicts it.
    """
    tasks, node = environ.get(name), _optional(environ, "SLURM_NODEID")
    if not tasks or node is None:
        return None
    counts: list[int] = []
    for count, repeat in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks):
        counts += [int(count)] * int(repeat or 1)
    if node >= len(counts):
        raise ValueError(
            f"{name} must have a number for each node, such as 2(x3),1, got {tasks!r} and "
            f"SLURM_NODEID={node} in the environment: start with {_COMMANDS['slurm']}, or unset it"
        )
    return counts[node]


def first_host(nodes: str) -> str:
    """Return the first host of slurm's compact notation.

    Example:
        >>> first_host("gpu[07-09,12],login1")
        'gpu07'
    """
    # Split at commas outside of brackets: commas inside separate the numbers of one prefix.
    first = re.split(r",(?![^\[]*\])", nodes)[0]
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first)


_MPI_VARIABLES: tuple[_Names, ...] = (  # Open MPI; MVAPICH2; MPICH and Intel MPI
    *(
        (f"{kind}_RANK", f"{kind}_SIZE", f"{kind}_LOCAL_RANK", f"{kind}_LOCAL_SIZE")
        for kind in ("OMPI_COMM_WORLD", "MV2_COMM_WORLD")
    ),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


def _read_mpi(environ: Mapping[str, str]) -> Launch:
    """Read the variables of the mpirun of Open MPI, MVAPICH2, MPICH or Intel MPI, or of srun."""
    if _starts_mpi_by_srun(environ):
        return _read_slurm(environ)  # it has the address of rank 0, too
    # Those of the library that has set a rank, or else a size: an error names the other one.
    found = (names for one in (0, 1) for names in _MPI_VARIABLES if names[one] in environ)
    names = next(found, _MPI_VARIABLES[0])
    launch = _launch(environ, "mpi", names, _optional(environ, names[3]))
    job = environ.get("PMIX_NAMESPACE")  # Open MPI's name of the launch; others do not set it
    # If all ranks are on one machine, the address is known. A checksum of the launch's name gives a
    # port that is equal on all ranks and differs between launches.
    return replace(
        launch,
        address="127.0.0.1" if launch.local_size == launch.world_size else None,
        port=20000 + zlib.crc32(job.encode()) % 10000 if job else None,
    )


def _starts_mpi_by_srun(environ: Mapping[str, str]) -> bool:
    """Return whether ``srun --mpi=pmi2`` or ``--mpi=pmix`` started this rank, without a mpirun.

    A mpirun inside of slurm starts its own helper by srun, one per node. Its ranks have the
    variables of that helper, with another rank or size.
    """
    if any(group[0] in environ for group in _MPI_VARIABLES[:2]) or _in_job_shell(environ):
        return False  # a mpirun in the shell gives all ranks its SLURM_PROCID
    name = _first_name(environ, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    tasks = environ[name] if name else None
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
    if launcher == "slurm" and _in_job_shell(environ):
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
