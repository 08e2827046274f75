"""Runs whose model is sharded over two real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_sharded_run_resumes_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    script = Path(__file__).with_name("ranks_shard.py")

    done = subprocess.run(
        [*command, "--nproc_per_node=2", str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr
    for rank in range(2):
        assert (
            f"rank {rank}: resumed True, saved True, moments [(8, 3), (8,), (1, 8), (1,)]"
            in done.stdout
        )
