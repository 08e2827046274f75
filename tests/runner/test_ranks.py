"""What several processes do together, under torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_checkpoint_of_ranks_holds_the_mean_of_their_statistics(tmp_path: Path) -> None:
    output = _on_two_ranks("ranks_save.py", tmp_path)

    for rank in range(2):
        assert f"rank {rank}: mean 5.0 after 2" in output


@pytest.mark.slow
def test_validation_over_ranks_counts_each_sample_once(tmp_path: Path) -> None:
    output = _on_two_ranks("ranks_validate.py", tmp_path)

    for rank in range(2):
        assert f"rank {rank} of 2: 11 {list(range(11))}" in output


def _on_two_ranks(script: str, folder: Path) -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"),
            *(Path(__file__).with_name(script), folder),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
