"""What each launcher leaves in the environment, and the groups made of it in this process."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as torch_dist

import engine_dist as dist
from engine_dist._launch import first_host, read_slurm

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "1",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "gpu[07-09,12],login1",
    "SLURM_TASKS_PER_NODE": "1(x2),3",
    "SLURM_JOB_ID": "123456",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "0",
    "OMPI_COMM_WORLD_SIZE": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name in VARIABLES or name.startswith(("SLURM_", "OMPI_", "PMI_", "MV2_")):
            monkeypatch.delenv(name)
    return monkeypatch


def join(launcher: str, folder: Path) -> dict[str, str]:
    """Make a group of one, and return what it left in the environment."""
    dist.init_dist(launcher, init_method=f"file://{folder / 'store'}", timeout=20)
    try:
        assert dist.is_distributed()
        assert dist.get_backend() == ("nccl" if torch.cuda.is_available() else "gloo")
        assert dist.get_dist_info() == (0, 1)
        return {name: os.environ[name] for name in VARIABLES if name in os.environ}
    finally:
        torch_dist.destroy_process_group()


def test_init_dist_reads_torchrun(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean.setenv("RANK", "0")
    clean.setenv("WORLD_SIZE", "1")

    left = join("pytorch", tmp_path)

    assert left == {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}


@pytest.mark.parametrize(
    ("launcher", "given", "local_size"),
    [
        ("slurm", SLURM, "1"),
        ("mpi", OPEN_MPI, "1"),
        ("mpi", {"PMI_RANK": "0", "PMI_SIZE": "1", "MPI_LOCALRANKID": "0"}, None),
        ("mpi", {"MV2_COMM_WORLD_RANK": "0", "MV2_COMM_WORLD_SIZE": "1"}, None),
    ],
    ids=["slurm", "open-mpi", "mpich", "mvapich"],
)
def test_init_dist_exports_what_the_launcher_says(
    clean: pytest.MonkeyPatch,
    tmp_path: Path,
    launcher: str,
    given: dict[str, str],
    local_size: str | None,
) -> None:
    for name, value in given.items():
        clean.setenv(name, value)

    left = join(launcher, tmp_path)

    assert (left["RANK"], left["WORLD_SIZE"], left["LOCAL_RANK"]) == ("0", "1", "0")
    assert left.get("LOCAL_WORLD_SIZE") == local_size


def test_slurm_gives_address_and_a_port_of_the_job() -> None:
    launch = read_slurm(SLURM | {"SLURM_NODEID": "2", "SLURM_PROCID": "4", "SLURM_LOCALID": "2"})

    assert (launch.address, launch.port) == ("gpu07", 23456)
    assert (launch.rank, launch.local_rank, launch.local_size) == (4, 2, 3)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[07-09,12],login1", "gpu07"),
        ("rack[1-2]n[03,05]", "rack1n03"),
    ],
    ids=["one", "two", "range", "racks"],
)
def test_first_host_of_slurm_notation(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ("pytorch", "RANK is not set, .*torchrun"),
        ("slurm", "SLURM_PROCID is not set, .*srun"),
        ("mpi", "OMPI_COMM_WORLD_RANK is not set, .*mpirun"),
    ],
    ids=["pytorch", "slurm", "mpi"],
)
def test_missing_variables_tell_how_to_start(
    clean: pytest.MonkeyPatch, launcher: str, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        dist.init_dist(launcher)


def test_unknown_launcher_names_the_choices() -> None:
    with pytest.raises(ValueError, match="'ssh'; choose from pytorch, slurm, mpi"):
        dist.init_dist("ssh")


def test_missing_address_says_what_to_export(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("RANK", "0")
    clean.setenv("WORLD_SIZE", "2")

    with pytest.raises(RuntimeError, match="export the host name or address of rank 0"):
        dist.init_dist("pytorch")


@pytest.mark.parametrize("timeout", [0, -1.5, timedelta(0)], ids=["zero", "negative", "delta"])
def test_timeout_must_be_positive(
    clean: pytest.MonkeyPatch, tmp_path: Path, timeout: float | timedelta
) -> None:
    clean.setenv("RANK", "0")
    clean.setenv("WORLD_SIZE", "1")

    with pytest.raises(ValueError, match="must be positive"):
        dist.init_dist("pytorch", init_method=f"file://{tmp_path / 'store'}", timeout=timeout)
