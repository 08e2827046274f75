"""Runs of two ranks that divide the state of their optimizer."""

from pathlib import Path
from typing import Any

import torch

from engine_dist import get_rank
from engine_model import BaseModel
from engine_runner import Runner


class Line(BaseModel):
    """Two layers, whose states are on two ranks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(1, 4), torch.nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": (self.second(self.first(x)) - 3 * x).square().mean()}


def _train(work_dir: Path, optimizer: dict[str, Any], **changes: Any) -> tuple[Runner, list[float]]:
    data = {
        "dataset": [(torch.ones(1) * index,) for index in range(4)],
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 1,
    }
    settings: dict[str, Any] = {
        "train_dataloader": data,
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"lr": 0.05, **optimizer}},
        "param_scheduler": {"type": "StepLR", "step_size": 1, "gamma": 0.5},
        "launcher": "pytorch",
        "log_level": "ERROR",
    }
    runner = Runner(Line(), work_dir, **{**settings, **changes})
    runner.train()
    weights = torch.cat([p.detach().flatten() for p in runner.model.parameters()])
    return runner, weights.tolist()


def resume(rank: int, folder: Path) -> Any:
    """Return the weights of plain, divided and resumed runs, and the parts of the state."""
    zero = {"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW"}
    _, plain = _train(folder / "plain", {"type": "AdamW"})
    runner, divided = _train(folder / "zero", zero)
    part = len(runner.optim_wrapper.optimizer.optim.state)
    _train(folder / "half", zero, train_cfg={"by_epoch": True, "max_epochs": 1})
    _, resumed = _train(folder / "half", zero, resume=True)
    state = runner.optim_wrapper.state_dict()
    whole = len(state["state"]) if get_rank() == 0 else 0
    return {"plain": plain, "zero": divided, "resumed": resumed, "part": part, "whole": whole}


CASES = {"resume": resume}
