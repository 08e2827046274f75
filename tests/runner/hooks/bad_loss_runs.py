"""Runs over points of a line, some of which are spoiled."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_runner import Runner
from engine_runner.hooks import EMAHook

POINTS = torch.linspace(-1, 1, 16)
MOMENTUM = {"optimizer": {"type": "Adam", "lr": 0.01}}


class Data(torch.utils.data.Dataset[Tensor]):
    """Points of a line; those at some indices are spoiled by a factor."""

    def __init__(self, spoiled: Sequence[int] = (), factor: float = math.nan) -> None:
        self.values = POINTS.clone()[:, None]
        self.factors = torch.ones(16, 1)
        self.factors[list(spoiled)] = factor

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        return self.values[index] * self.factors[index], 2 * self.values[index]


class Net(BaseModel):
    """A layer behind a batch norm, whose statistics a bad batch would spoil."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(1)
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        out = self.linear(self.norm(x))
        return {"loss": (out - y).square().mean()} if mode == "loss" else (out, y)


def loader(data: Any, order: Sequence[int] = range(16)) -> dict[str, Any]:
    return {
        "dataset": torch.utils.data.Subset(data, list(order)) if len(order) < 16 else data,
        "batch_size": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
    }


def log_of(runner: Runner) -> str:
    return "".join(path.read_text() for path in Path(runner.work_dir).glob("*/*.log"))


def state_of(runner: Runner) -> dict[str, Any]:
    """Return all that a step changes."""
    wrapper = runner.optim_wrapper
    moments = wrapper.optimizer.state_dict()["state"]
    average = [hook.ema_model.state_dict() for hook in runner.hooks if isinstance(hook, EMAHook)]
    return {
        **runner.model.state_dict(),
        **{f"{key}.{name}": value for key, item in moments.items() for name, value in item.items()},
        **{f"ema.{name}": value for name, value in (average[0] if average else {}).items()},
        "rates": torch.tensor(wrapper.get_lr()["lr"]),
        "schedules": torch.tensor([one.last_step for one in runner.param_schedulers or ()]),
    }  # fmt: skip


def assert_equal(one: Runner, other: Runner) -> None:
    first, second = state_of(one), state_of(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
