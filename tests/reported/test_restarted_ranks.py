"""Ranks that torchrun restarts form a new group, although the agent's store is the old one."""

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts

FORK_RANKS = Path(__file__).parents[1] / "fork_ranks.py"

SCRIPT = """
import os, signal
import torch
import engine_dist as dist

dist.init_dist("pytorch", "gloo", timeout=60)
attempt, rank = dist.restart_count(), dist.get_rank()
first = dist.first_of_launch("start", f"attempt {attempt}")
total = dist.all_gather_object(rank)
if attempt == 0 and rank == 0:
    raise ValueError("bad sample 7")
if attempt == 1 and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
dist.barrier()
count = os.environ["TORCHELASTIC_RESTART_COUNT"]
print(f"rank {rank}: {total}, attempt {attempt}, first {first}, restarts {count}\\n", end="")
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_restarted_ranks_of_two_agents_join_a_new_group(tmp_path: Path, scripts: "Scripts") -> None:
    # Each agent counts the failures of its own ranks: the restart counts of the ranks differ.
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    arguments = [
        "run",
        "--nnodes=2",
        "--nproc-per-node=1",
        "--max-restarts=2",
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{free_port()}",
        "--rdzv-id=restarts",
    ]

    agents = scripts.run_at_once([(FORK_RANKS, *arguments, script)] * 2, folder=tmp_path)

    output = "".join(agent.stdout for agent in agents)
    ends = sorted(re.findall(r"rank \d: .*", output))
    expected = r"rank {}: \[0, 1\], attempt 2, first attempt 0, restarts \d"
    assert len(ends) == 2, output
    assert all(re.fullmatch(expected.format(rank), ends[rank]) for rank in range(2)), ends
    assert [agent.returncode for agent in agents] == [0, 0]
