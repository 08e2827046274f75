"""Real processes that form a group from the environment variables of a launcher."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ranks = Callable[[str], tuple[Path, dict[str, Any]]]


def reports_of(ranks: Ranks, case: str, size: int) -> list[dict[str, Any]]:
    """Check that all ranks of a case succeeded, and return their results."""
    folder, ended = ranks("groups")
    for rank in range(size):
        process = ended[f"{case}_{rank}"]
        assert process.end == 0, f"rank {rank} ended by {process.end}:\n{process.output}"
    return [json.loads((folder / f"{case}_{rank}.json").read_text()) for rank in range(size)]


# For each case the local rank and local size of each rank.
PLACES = {
    "torchrun": [[0, 2], [1, 2]],
    "slurm": [[0, 2], [1, 2], [0, 2], [1, 2]],
    "slurm-step": [[0, 2], [1, 2]],
    "open-mpi": [[0, 2], [1, 2]],
    "mpich": [[0, 2], [1, 2]],
    "mvapich": [[0, 1], [0, 1]],
}


@pytest.mark.parametrize("case", PLACES)
def test_ranks_of_each_launcher_join_one_group(ranks: Ranks, case: str) -> None:
    size = len(PLACES[case])

    reports = reports_of(ranks, case, size)

    assert [report["info"] for report in reports] == [[rank, size] for rank in range(size)]
    assert [report["local"] for report in reports] == PLACES[case]
    assert all(report["gathered"] == list(range(size)) for report in reports)


@pytest.mark.parametrize("case", PLACES)
def test_ranks_of_each_launcher_export_the_same_address(ranks: Ranks, case: str) -> None:
    reports = reports_of(ranks, case, len(PLACES[case]))

    places = {(each["environ"]["MASTER_ADDR"], each["environ"]["MASTER_PORT"]) for each in reports}
    assert len(places) == 1
    assert places.pop()[0] == "127.0.0.1"
    for rank, report in enumerate(reports):
        environ = report["environ"]
        assert (environ["RANK"], environ["WORLD_SIZE"]) == (str(rank), str(len(reports)))
        assert [int(environ["LOCAL_RANK"]), int(environ["LOCAL_WORLD_SIZE"])] == report["local"]


SCRIPT = """
import engine_dist as dist
import torch
from threading import enumerate

dist.init_dist("pytorch", "gloo", timeout=60)
gathered = dist.all_gather_object(dist.get_local_rank())
names = [thread.name for thread in enumerate()]
print(f"gathered {gathered} with {names}\\n", end="")  # in one piece: the ranks share the output
dist.barrier()
if dist.get_rank() == 1:
    raise ValueError("bad sample 7")
dist.all_reduce(torch.ones(1))
"""


def test_torchrun_starts_a_group_and_reports_the_rank_that_died(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    done = subprocess.run(
        [*torchrun, str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 1
    # The agent supervises the ranks, so they have no thread for heartbeats, but one that waits for
    # the end of the agent.
    threads = r"\['MainThread', 'engine-dist-launcher'\]"
    assert len(re.findall(rf"gathered \[0, 1\] with {threads}", done.stdout)) == 2
    # The agent reads the reason in the error file of the rank.
    root_cause = done.stderr[done.stderr.index("Root Cause") :]
    assert re.search(r"rank +: 1 \(local_rank: 1\)", root_cause), done.stderr
    assert "ValueError: bad sample 7" in root_cause
    # The other rank reads it in the store, unless the agent ends it before.
    if "RankLost" in done.stderr:
        assert "all_reduce failed: rank 1 died of ValueError: bad sample 7" in done.stderr
