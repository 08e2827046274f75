"""Validates 11 points on the ranks that torchrun started, and prints what the metric saw."""

import sys
from typing import Any

import torch

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Runner


class Echo(BaseModel):
    """Predicts what it is given."""

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        """Return one prediction a sample."""
        return list(x)


class Seen(BaseMetric):
    """Collects which samples were evaluated."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Keep the samples."""
        self.results += [int(sample) for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return the samples in the order in which they arrived."""
        return {"seen": results, "count": len(results)}


loader = {
    "dataset": [(index,) for index in range(11)],
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 2,
}
runner = Runner(
    Echo(),
    sys.argv[1],
    val_dataloader=loader,
    val_cfg={},
    val_evaluator=Seen(),
    launcher="pytorch",
)
metrics = runner.val()
print(f"rank {runner.rank} of {runner.world_size}: {metrics['count']} {metrics['seen']}")
torch.distributed.destroy_process_group()
