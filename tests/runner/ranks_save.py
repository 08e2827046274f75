"""Trains batch statistics that differ between the ranks, saves, and prints them."""

import sys
from typing import Any

import torch

from engine_dist import get_rank
from engine_model import BaseModel
from engine_runner import Runner


class Statistics(BaseModel):
    """Each rank sees values of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(1, momentum=1.0)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        """Return a loss; rank 0 sees zeros, rank 1 tens."""
        return {"loss": self.norm(x * 0 + 10.0 * get_rank()).sum()}


runner = Runner(
    Statistics(),
    sys.argv[1],
    train_dataloader={
        "dataset": [(torch.ones(1),) for _ in range(8)],
        "sampler": {"type": "DefaultSampler"},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
    },
    train_cfg={"by_epoch": True, "max_epochs": 1},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
    launcher="pytorch",
)
runner.train()
state = torch.load(f"{runner.work_dir}/epoch_1.pth", weights_only=True)["state_dict"]
mean, count = state["norm.running_mean"].item(), state["norm.num_batches_tracked"].item()
print(f"rank {runner.rank}: mean {mean} after {count}")
torch.distributed.destroy_process_group()
