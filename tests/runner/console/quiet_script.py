"""Train one epoch as a rank of a group: quiet_script.py RANK SIZE WORK_DIR STORE."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.utils.data import TensorDataset

from engine_model import BaseModel
from engine_runner import Runner


class Fit(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(1, 1) for _ in range(20)))

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> dict[str, Tensor]:
        return {"loss": (self.layers(x) - y).square().mean()}


def main(rank: int, size: int, work_dir: str, store: str) -> None:
    torch.set_num_threads(1)
    if size > 1:
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=120),
        )
    x = torch.linspace(-1, 1, 40)[:, None]
    Runner(
        model=Fit(),
        work_dir=work_dir,
        train_dataloader={
            "dataset": TensorDataset(x, 2 * x),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "batch_size": 2,
        },
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
        randomness={"seed": 0},
    ).train()
    if size > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], str(Path(sys.argv[4]).absolute()))
    # Without the destructors of torch's threads: under load they once aborted a finished process.
    sys.stdout.flush()
    os._exit(0)
