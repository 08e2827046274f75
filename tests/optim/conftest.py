"""Models and data that several tests use."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

Batches = list[tuple[Tensor, Tensor]]


@pytest.fixture
def make_model() -> Callable[[], nn.Sequential]:
    """Return a function that makes the same small network each time."""

    def make() -> nn.Sequential:
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))

    return make


@pytest.fixture
def batches() -> Batches:
    generator = torch.Generator().manual_seed(5)
    return [
        (torch.randn(6, 4, generator=generator), torch.randint(2, (6,), generator=generator))
        for _ in range(10)
    ]


@pytest.fixture
def run_ranks(tmp_path: Path) -> Callable[..., None]:
    """Run a script of this folder in several processes: ``script rank world_size init_method``."""

    def run(script: str, world_size: int) -> None:
        path = Path(__file__).parent / script
        init = f"file://{tmp_path / 'group'}"
        commands = [
            [sys.executable, "-W", "error", str(path), str(rank), str(world_size), init]
            for rank in range(world_size)
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
            )
            for command in commands
        ]
        outputs = [process.communicate(timeout=300)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * world_size, outputs

    return run
