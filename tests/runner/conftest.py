"""A model, data and a metric that are small enough to follow by hand."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine_evaluator import BaseMetric
from engine_logging import MessageHub, MMLogger
from engine_model import BaseModel
from engine_runner import Runner
from engine_visualization import Visualizer


class Line(Dataset[tuple[Tensor, Tensor]]):
    """Points of the line y = 3x + 1; remembers in which order they were asked for."""

    metainfo: ClassVar[dict[str, str]] = {"name": "line"}

    def __init__(self, size: int = 12) -> None:
        self.x = torch.linspace(-1, 1, size)[:, None]
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.asked.append(index)
        return self.x[index], 3 * self.x[index] + 1


class Regressor(BaseModel):
    """A linear layer behind dropout, so that a step depends on random numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.linear(self.dropout(x))
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class MeanError(BaseMetric):
    """Mean absolute error."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        predicted, y = data_samples
        self.results += (predicted - y).abs().flatten().tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"error": sum(results) / len(results)}


@pytest.fixture(autouse=True)
def _close_named_instances() -> Iterator[None]:
    yield
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for kind in (MessageHub, Visualizer):
        for name in list(kind._instance_dict):
            kind.release_instance(name)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return the arguments of a run that trains 3 epochs of 4 batches, and validates."""

    def arguments(**changes: Any) -> dict[str, Any]:
        loader = {
            "dataset": Line(),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "batch_size": 3,
        }
        val = {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False}}
        base: dict[str, Any] = {
            "model": Regressor(),
            "work_dir": str(tmp_path / "work"),
            "train_dataloader": loader,
            "train_cfg": {"by_epoch": True, "max_epochs": 3},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
            "param_scheduler": {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False},
            "val_dataloader": val,
            "val_cfg": {},
            "val_evaluator": MeanError(),
            "randomness": {"seed": 3},
        }
        return {**base, **changes}

    return arguments


@pytest.fixture
def make_runner(settings: Callable[..., dict[str, Any]]) -> Callable[..., Runner]:
    """Return a function that builds such a run, with changes."""
    return lambda **changes: Runner(**settings(**changes))


@pytest.fixture
def on_two_ranks(tmp_path: Path) -> Callable[[str], str]:
    """Runs a script of this folder in two processes, and returns what they printed."""

    def run(script: str) -> str:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
                *("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"),
                *(Path(__file__).with_name(script), tmp_path),
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
