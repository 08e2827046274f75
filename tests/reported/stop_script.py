"""Trainings with workers whose process group gets SIGTERM at one point each. Not a test module.

Arguments: a folder. Prints as JSON, for each point: the exit code, and what is to be resumed.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Hook, Runner, find_latest_checkpoint


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.linear(x).square().mean()} if mode == "loss" else x


class Count(BaseMetric):
    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        self.results += [1.0]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"acc": float(len(results))}


class Points(torch.utils.data.Dataset[tuple[torch.Tensor]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[torch.Tensor]:
        time.sleep(0.005)
        return (torch.ones(1),)


class Send(Hook):
    """Send SIGTERM to the group when a method of a hook is called for the n-th time."""

    priority = "VERY_LOW"

    def __init__(self, point: str, nth: int = 1, twice: bool = False) -> None:
        self.left, self.twice = nth, twice
        setattr(self, point, self._reached)

    def _reached(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            for _ in range(1 + self.twice):
                os.kill(0, signal.SIGTERM)
                time.sleep(0.05)  # the workers end


class Swap(Hook):
    """Validate with other weights than those that are trained, as averages do."""

    def before_val_epoch(self, runner: Any) -> None:
        self.own = runner.model.linear.weight.data.clone()
        runner.model.linear.weight.data.copy_(self.own + 100)

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        runner.model.linear.weight.data.copy_(self.own)


def train(folder: Path, *hooks: Hook, workers: int = 1, **changes: Any) -> None:
    data = {
        "dataset": Points(),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
        "num_workers": workers,
        "persistent_workers": workers > 0,
    }
    Runner(
        Line(),
        folder,
        train_dataloader=data,
        val_dataloader=data,
        val_cfg={},
        val_evaluator=Count(),
        train_cfg={"by_epoch": True, "max_epochs": 3},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 3}},
        custom_hooks=hooks,
        log_level="ERROR",
        **changes,
    ).train()


def start(folder: Path, *hooks: Hook, **changes: Any) -> int:
    """Train in a process group of its own, and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 0
    os.setsid()
    try:
        train(folder, *hooks, **changes)
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def outcome(child: int, folder: Path) -> dict[str, Any]:
    """Return how a training ended, and what it saved."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = find_latest_checkpoint(folder)
    if found is None:
        return {"code": code}
    saved = torch.load(found, weights_only=True)
    return {
        "code": code,
        "file": Path(found).name,
        "counted": [saved["progress"][name] for name in ("epoch", "iter", "validated")],
        "trained weights": saved["state_dict"]["linear.weight"].item() < 50,
    }


def main(folder: Path) -> None:
    cases: dict[str, list[Hook]] = {
        "after a validation": [Send("after_val")],
        "after its last iteration": [Send("after_train_epoch")],
        "in a validation": [Send("after_val_iter", 2)],
        "in a validation of other weights": [Send("after_val_iter", 2), Swap()],
        "before the first iteration": [Send("before_train_epoch")],
        "in an iteration": [Send("before_train_iter", 6)],
        "while saving": [Send("before_save_checkpoint")],
        "twice": [Send("after_train_iter", 6, twice=True)],
        "without workers": [Send("after_val_iter", 2), Swap()],
    }
    children = {
        name: start(folder / name, *hooks, workers=int(name != "without workers"))
        for name, hooks in cases.items()
    }
    print(json.dumps({name: outcome(child, folder / name) for name, child in children.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
