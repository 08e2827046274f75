"""Ranks that form a group from the environment variables of a launcher; see ranks.py."""

import itertools
import json
import os
import socket
import zlib
from pathlib import Path

import engine_dist as dist

NAMES = ("torchrun", "slurm", "slurm-step", "open-mpi", "mpich", "mvapich")
SLURM = {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "1",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "gpu[07-09,12],login1",
    "SLURM_TASKS_PER_NODE": "1(x2),3",
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "0",
}
SHELL = {name: SLURM[name] for name in SLURM if name != "SLURM_STEP_ID"} | {"SLURM_NTASKS": "5"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "0",
    "OMPI_COMM_WORLD_SIZE": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
}
LAUNCHERS = ("SLURM_", "OMPI_", "PMI", "MPI_", "MV2_", "MASTER_", "TORCHELASTIC_")
LEFT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

Places = list[tuple[str, dict[str, str]]]
"""The launcher and environment of each rank."""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_jobs(count: int) -> list[int]:
    """Return job numbers with free ports; the last four digits of a number select the port."""
    jobs = (120000 + (os.getpid() + further) % 10000 for further in itertools.count())
    return list(itertools.islice((job for job in jobs if is_free(20000 + job % 10000)), count))


def on_slurm(rank: int, *, job: int) -> dict[str, str]:
    """Return the variables of task `rank` of four on two nodes in slurm's compact notation."""
    return {
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % 2),
        "SLURM_NODEID": str(rank // 2),
        "SLURM_NTASKS": "4",
        "SLURM_NODELIST": "127.0.0.[1-2,7]",
        "SLURM_TASKS_PER_NODE": "2(x2)",
        "SLURM_JOB_ID": str(job),
        "SLURM_STEP_ID": "0",
    }


def in_slurm_step(rank: int, *, job: int) -> dict[str, str]:
    """Return the variables of task `rank` of a step of two tasks on the second node of a job."""
    return on_slurm(rank, job=job) | {
        "SLURM_STEP_ID": "3",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_JOB_NODELIST": "192.0.2.[1-2]",
        "SLURM_NODEID": "0",
    }


def on_open_mpi(rank: int, *, launch: str) -> dict[str, str]:
    names = ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK")
    sizes = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE")
    return dict.fromkeys(names, str(rank)) | dict.fromkeys(sizes, "2") | {"PMIX_NAMESPACE": launch}


def on_mpich(rank: int, *, port: int) -> dict[str, str]:
    """Return the variables of one of two ranks on one machine; the user sets the port."""
    names, sizes = ("PMI_RANK", "MPI_LOCALRANKID"), ("PMI_SIZE", "MPI_LOCALNRANKS")
    own = {"MASTER_PORT": str(port)}
    return dict.fromkeys(names, str(rank)) | dict.fromkeys(sizes, "2") | own


def on_mvapich(rank: int, *, port: int) -> dict[str, str]:
    """Return the variables of one of two ranks on two machines; the user sets the address."""
    places = {"MV2_COMM_WORLD_RANK": str(rank), "MV2_COMM_WORLD_LOCAL_RANK": "0"}
    sizes = {"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_LOCAL_SIZE": "1"}
    return places | sizes | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def on_torchrun(rank: int, *, port: int) -> dict[str, str]:
    sizes = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)} | sizes | where


def make_cases(ports: list[int]) -> dict[str, Places]:
    """Return the environments of each case, with free ports."""
    whole, step, other = free_jobs(3)
    names = (f"prterun-node-{number}@1" for number in itertools.count())
    launch = next(name for name in names if zlib.crc32(name.encode()) % 10000 == other % 10000)
    return {
        "slurm": [("slurm", on_slurm(rank, job=whole)) for rank in range(4)],
        "slurm-step": [("slurm", in_slurm_step(rank, job=step - 3000)) for rank in range(2)],
        "open-mpi": [("mpi", on_open_mpi(rank, launch=launch)) for rank in range(2)],
        "mpich": [("mpi", on_mpich(rank, port=ports[0])) for rank in range(2)],
        "mvapich": [("mpi", on_mvapich(rank, port=ports[1])) for rank in range(2)],
        "torchrun": [("pytorch", on_torchrun(rank, port=ports[2])) for rank in range(2)],
    }


def act(launcher: str, environ: dict[str, str], report: Path) -> None:
    """Run one rank: join by the environment only, and write the result."""
    for name in list(os.environ):
        if name in LEFT or name.startswith(LAUNCHERS):
            del os.environ[name]
    os.environ |= environ
    dist.init_dist(launcher, "gloo", timeout=60)
    found = {
        "info": dist.get_dist_info(),
        "local": (dist.get_local_rank(), dist.get_local_size()),
        "gathered": dist.all_gather_object(dist.get_rank()),
        "environ": {name: os.environ.get(name) for name in LEFT},
    }
    dist.barrier()
    report.write_text(json.dumps(found))
