"""The environment variables of slurm and MPI: what is read of them, and which are errors."""

import pytest
from tests.dist.launches import OPEN_MPI, SHELL, SLURM

from engine_dist._launchers import first_host, read_launch

TWO = SLURM | {"SLURM_NTASKS": "2"}


def test_slurm_sets_the_address_and_a_port_per_job() -> None:
    own = {"SLURM_NTASKS": "5", "SLURM_NODEID": "2", "SLURM_PROCID": "4", "SLURM_LOCALID": "2"}

    launch = read_launch("slurm", SLURM | own)

    assert (launch.address, launch.port) == ("gpu07", 23456)
    assert (launch.rank, launch.local_rank, launch.local_size) == (4, 2, 3)


def test_slurm_steps_of_one_job_have_different_ports() -> None:
    ports = {read_launch("slurm", SLURM | {"SLURM_STEP_ID": str(step)}).port for step in range(5)}

    assert len(ports) == 5


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[07-09,12],login1", "gpu07"),
        ("node[01-04,07]", "node01"),
        ("node-[3,5-6].example", "node-3.example"),
        ("rack[1-2]n[03,05]", "rack1n03"),
    ],
    ids=["one", "two", "range", "only-range", "domain", "racks"],
)
def test_first_host_of_slurm_notation(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


@pytest.mark.parametrize(
    ("launcher", "environ", "message"),
    [
        pytest.param(
            *("slurm", TWO | {"SLURM_PROCID": "2"}),
            "SLURM_PROCID must be below SLURM_NTASKS, .* got 2 of 2 .*srun",
            id="rank",
        ),
        pytest.param(
            *("slurm", TWO | {"SLURM_STEP_NUM_TASKS": "two"}),
            "SLURM_STEP_NUM_TASKS must be an integer >= 0, got 'two'",
            id="no number",
        ),
        pytest.param(
            *("slurm", TWO | {"SLURM_LOCALID": "1"}),
            "SLURM_LOCALID must be below SLURM_TASKS_PER_NODE, .* got 1 of 1",
            id="local rank",
        ),
        pytest.param(
            *("slurm", TWO | {"SLURM_NODEID": "3"}),
            r"SLURM_TASKS_PER_NODE must .* got '1\(x2\),3' and SLURM_NODEID=3",
            id="node",
        ),
        pytest.param(
            *("slurm", TWO | {"SLURM_NODELIST": "gpu["}),
            r"SLURM_NODELIST must be a list of nodes .* got 'gpu\[' .* export MASTER_ADDR",
            id="list of nodes",
        ),
        pytest.param(
            *("mpi", OPEN_MPI | {"OMPI_COMM_WORLD_RANK": "1"}),
            "OMPI_COMM_WORLD_RANK must be below OMPI_COMM_WORLD_SIZE, .* got 1 of 1 .*mpirun",
            id="rank of mpi",
        ),
    ],
)
def test_contradicting_variables_raise_and_are_named(
    launcher: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_launch(launcher, environ)


@pytest.mark.parametrize(
    ("launcher", "environ", "message"),
    [
        pytest.param("slurm", SHELL, "SLURM_STEP_ID is not set, .* starts the 5 ranks", id="batch"),
        pytest.param(
            *("slurm", SHELL | {"SLURM_STEP_ID": "4294967290"}),
            "SLURM_STEP_ID is 4294967290: this is the shell of the job",
            id="interactive",
        ),
        pytest.param(
            *("slurm", TWO | {"TORCHELASTIC_RUN_ID": "none"}),
            "TORCHELASTIC_RUN_ID is set.*use the launcher 'pytorch'",
            id="torchrun-in-slurm",
        ),
        pytest.param("mpi", {"PMI_SIZE": "2"}, "PMI_RANK is not set", id="half of mpich"),
    ],
)
def test_process_that_the_launcher_did_not_start_raises(
    launcher: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        read_launch(launcher, environ)


def test_address_of_the_user_replaces_an_unusable_list_of_nodes() -> None:
    unusable = TWO | {"SLURM_NODELIST": "(null)", "MASTER_ADDR": "gpu07"}

    assert read_launch("slurm", unusable).address is None


PMI = {"PMI_RANK": "0", "PMI_SIZE": "1"}
HELPER = {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "1"}  # one for each node


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (SLURM | PMI, (1, "gpu07")),
        (SLURM | {"PMIX_RANK": "0"}, (1, "gpu07")),
        (SLURM | HELPER | {"PMI_RANK": "0", "PMI_SIZE": "8"}, (8, None)),
        (SLURM | HELPER | OPEN_MPI, (1, "127.0.0.1")),
        (SHELL | {"PMI_RANK": "0", "PMI_SIZE": "5", "MPI_LOCALNRANKS": "5"}, (5, "127.0.0.1")),
    ],
    ids=["srun-pmi2", "srun-pmix", "mpich-in-slurm", "open-mpi-in-slurm", "mpich-in-the-shell"],
)
def test_mpi_inside_of_slurm_takes_the_ranks_of_whoever_started_them(
    environ: dict[str, str], expected: tuple[int, str | None]
) -> None:
    namespace = {"PMIX_NAMESPACE": "prterun@1"} if "OMPI_COMM_WORLD_RANK" in environ else {}
    launch = read_launch("mpi", environ | namespace)

    assert (launch.world_size, launch.address) == expected
