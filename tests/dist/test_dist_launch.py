"""The environment of each launcher, and the groups that this process makes of it."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as torch_dist
from tests.dist.launches import OPEN_MPI, SHELL, SLURM
from torch.distributed.rendezvous import rendezvous

import engine_dist as dist
from engine_dist._launchers import read_launch, writes_heartbeats

LAUNCHERS = ("SLURM_", "OMPI_", "PMI", "MPI_", "MV2_", "TORCHELASTIC_")
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name in VARIABLES or name.startswith(
            ("SLURM_", "OMPI_", "PMI", "MPI_", "MV2_", "TORCHELASTIC_")
        ):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def alone(clean: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Launch one rank, and return its rendezvous."""
    clean.setenv("RANK", "0")
    clean.setenv("WORLD_SIZE", "1")
    return {"init_method": f"file://{tmp_path / 'store'}"}


def join(launcher: str, folder: Path) -> dict[str, str]:
    """Create a group of one rank, and return the variables that this set."""
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
def test_init_dist_exports_the_values_of_the_launcher(
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


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ("pytorch", "RANK is not set, .*torchrun"),
        ("slurm", "SLURM_PROCID is not set, .*srun"),
        ("mpi", "OMPI_COMM_WORLD_RANK is not set, .*mpirun"),
    ],
    ids=["pytorch", "slurm", "mpi"],
)
def test_missing_variables_raise_and_name_the_command(
    clean: pytest.MonkeyPatch, launcher: str, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        dist.init_dist(launcher)


@pytest.mark.parametrize(
    ("launcher", "environ", "message"),
    [
        ("slurm", {"RANK": "0", "WORLD_SIZE": "1"}, "started by the launcher 'pytorch': use that"),
        ("slurm", {"SLURM_JOB_ID": "1"}, "the shell of the job, in which srun starts the ranks"),
        ("mpi", {"RANK": "0", "WORLD_SIZE": "1"}, "started by the launcher 'pytorch': use that"),
        ("pytorch", OPEN_MPI, "started by the launcher 'mpi': use that"),
    ],
    ids=["slurm", "sbatch", "mpi", "pytorch"],
)
def test_wrong_launcher_raises_and_names_the_right_one(
    clean: pytest.MonkeyPatch, launcher: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        read_launch(launcher, environ)


def test_unknown_launcher_raises_and_lists_the_launchers() -> None:
    with pytest.raises(ValueError, match="launcher must be one of pytorch, slurm, mpi, got 'ssh'"):
        dist.init_dist("ssh")


def test_missing_address_raises_and_names_the_variable(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("RANK", "0")
    clean.setenv("WORLD_SIZE", "2")

    with pytest.raises(RuntimeError, match="export the host name or address of rank 0"):
        dist.init_dist("pytorch")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RANK": "first"}, "RANK must be an integer >= 0, got 'first'"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE must be an integer >= 0, got ''"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK must be an integer >= 0, got '-1'"),
        ({"RANK": "2"}, "RANK must be below WORLD_SIZE, .* got 2 of 2 .*torchrun"),
        (
            {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "http"},
            "MASTER_PORT must be a port below 65536, got 'http'",
        ),
        (
            {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "70000"},
            "MASTER_PORT must be a port below 65536, got '70000'",
        ),
    ],
    ids=["word", "empty", "negative", "beyond", "port-word", "port-high"],
)
def test_invalid_variable_raises_with_its_name(
    clean: pytest.MonkeyPatch, given: dict[str, str], message: str
) -> None:
    for name, value in ({"RANK": "0", "WORLD_SIZE": "2"} | given).items():
        clean.setenv(name, value)

    with pytest.raises(ValueError, match=message):
        dist.init_dist("pytorch", "gloo", timeout=5)


@pytest.mark.parametrize(
    ("backend", "error", "message"),
    [
        ("gluu", ValueError, "backend must be one of .*gloo.*, got 'gluu'"),
        ("cpu:gloo,cuda:nckl", ValueError, "backend must be one of .*, got 'nckl'"),
        ("xccl", RuntimeError, "'xccl' needs a device of type 'xpu'"),
    ],
    ids=["typo", "typo-in-list", "no-device"],
)
@pytest.mark.skipif(torch.xpu.is_available(), reason="has the device that is missing here")
def test_unknown_backend_raises_with_its_name(
    alone: dict[str, Any], backend: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dist.init_dist("pytorch", backend, **alone)


def test_init_dist_with_an_existing_group_raises(alone: dict[str, Any]) -> None:
    dist.init_dist("pytorch", "GLOO", **alone)
    try:
        with pytest.raises(RuntimeError, match=r"exists already; call .*destroy"):
            dist.init_dist("pytorch", "gloo", **alone)
    finally:
        torch_dist.destroy_process_group()


def test_init_dist_on_a_taken_port_raises(clean: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for name, value in ({"RANK": "0", "WORLD_SIZE": "2"} | address).items():
            clean.setenv(name, value)

        with pytest.raises(dist.DistError, match=f"{port}: .*export another MASTER_PORT"):
            dist.init_dist("pytorch", "gloo", timeout=5)


def test_init_dist_with_a_repeated_rank_raises(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean.setenv("RANK", "0")
    clean.setenv("WORLD_SIZE", "2")
    left_over, _, _ = next(rendezvous(f"file://{tmp_path / 'store'}", 0, 2))
    for number in range(9):  # whatever groups this process had before
        left_over.add(f"engine_dist/0/{number}/joined/0", 1)

    with pytest.raises(dist.DistError, match=r"rank 0 has joined .*left over from"):
        dist.init_dist("pytorch", "gloo", init_method=f"file://{tmp_path / 'store'}", timeout=5)


@pytest.mark.parametrize(
    ("asked", "launcher", "environ", "expected"),
    [
        (None, "pytorch", {}, True),
        (None, "mpi", {}, True),
        (None, "slurm", {}, False),
        (None, "pytorch", {"TORCHELASTIC_RUN_ID": "1"}, False),
        (None, "pytorch", {"SLURM_JOB_ID": "1"}, False),
        (None, "slurm", {"ENGINE_DIST_HEARTBEAT": "1"}, True),
        (None, "mpi", {"ENGINE_DIST_HEARTBEAT": "0"}, False),
        (True, "slurm", {"ENGINE_DIST_HEARTBEAT": "0"}, True),
        (False, "mpi", {"ENGINE_DIST_HEARTBEAT": "1"}, False),
    ],
    ids=[
        *("pytorch", "mpi", "slurm", "torchrun", "pytorch-under-slurm"),
        *("variable-on", "variable-off", "argument-on", "argument-off"),
    ],
)
def test_heartbeats_default_to_off_under_torchrun_and_slurm(
    asked: bool | None, launcher: str, environ: dict[str, str], expected: bool
) -> None:
    assert writes_heartbeats(asked, launcher, environ) is expected


def test_heartbeat_variable_must_be_0_or_1(
    alone: dict[str, Any], clean: pytest.MonkeyPatch
) -> None:
    clean.setenv("ENGINE_DIST_HEARTBEAT", "yes")

    with pytest.raises(ValueError, match="ENGINE_DIST_HEARTBEAT must be 0 or 1, got 'yes'"):
        dist.init_dist("pytorch", "gloo", **alone)


@pytest.mark.parametrize("timeout", ["10 min", [10]], ids=["text", "list"])
def test_timeout_must_be_a_number(alone: dict[str, Any], timeout: object) -> None:
    with pytest.raises(TypeError, match="must be seconds or a timedelta, got"):
        dist.init_dist("pytorch", "gloo", **alone, timeout=timeout)


@pytest.mark.parametrize(
    "timeout",
    [0, -1.5, timedelta(0), float("inf"), float("nan")],
    ids=["zero", "negative", "delta", "infinite", "nan"],
)
def test_timeout_must_be_positive(alone: dict[str, Any], timeout: float | timedelta) -> None:
    with pytest.raises(ValueError, match="must be a positive number"):
        dist.init_dist("pytorch", **alone, timeout=timeout)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "none"),
        ({"RANK": "0", "WORLD_SIZE": "2", "SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0"}, "pytorch"),
        (SLURM, "slurm"),
        (SHELL, "none"),
        (OPEN_MPI, "mpi"),
        (SLURM | OPEN_MPI, "mpi"),
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, "mpi"),
        ({"MV2_COMM_WORLD_LOCAL_RANK": "0"}, "mpi"),
    ],
    ids=["alone", "torchrun", "srun", "sbatch", "open-mpi", "in-slurm", "mpich", "mvapich"],
)
def test_infer_launcher_reads_the_variables(
    clean: pytest.MonkeyPatch, environ: dict[str, str], expected: str
) -> None:
    for name, value in environ.items():
        clean.setenv(name, value)

    assert dist.infer_launcher() == expected


def test_init_dist_with_another_init_backend_raises(alone: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"init_backend must be 'torch', got 'colossalai'; .*leave"
    ):
        dist.init_dist("pytorch", "gloo", "colossalai", **alone)

    assert not dist.is_distributed()


def test_init_dist_with_torch_as_init_backend_makes_the_group(alone: dict[str, Any]) -> None:
    dist.init_dist("pytorch", "gloo", init_backend="torch", **alone)
    try:
        assert dist.get_backend() == "gloo"
    finally:
        torch_dist.destroy_process_group()
