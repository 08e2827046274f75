"""Trains a sharded model, once in one go and once interrupted, and compares the two."""

import sys
from typing import Any

import torch

from engine_model import BaseModel, get_state_dict, weights_to_cpu
from engine_runner import Runner


class Curve(BaseModel):
    """Two layers, so that there are several units of which each rank holds a part."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 8)
        self.second = torch.nn.Linear(8, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        """Return the loss of the parabola."""
        outputs = self.second(self.first(x).relu())
        return {"loss": (outputs - x.square().sum(1, keepdim=True)).square().mean()}


def weights_after(folder: str, *epochs: int) -> dict[str, torch.Tensor]:
    """Train up to each of the numbers of epochs, with a runner of its own."""
    draw = torch.Generator().manual_seed(0)
    data = [(torch.randn(3, generator=draw),) for _ in range(16)]
    for count in epochs:
        torch.manual_seed(0)
        runner = Runner(
            Curve(),
            f"{sys.argv[1]}/{folder}",
            train_dataloader={
                "dataset": data,
                "sampler": {"type": "DefaultSampler", "shuffle": True},
                "collate_fn": {"type": "default_collate"},
                "batch_size": 4,
            },
            train_cfg={"by_epoch": True, "max_epochs": count},
            optim_wrapper={"optimizer": {"type": "Adam", "lr": 0.01}},
            randomness={"seed": 3},
            launcher="pytorch",
            resume=True,
            experiment_name=f"{folder}_{count}",
            cfg={
                "model_wrapper_cfg": {
                    "type": "MMFullyShardedDataParallel",
                    "cpu_offload": True,
                    "fsdp_auto_wrap_policy": "always_wrap_policy",
                }
            },
        )
        runner.train()
    return weights_to_cpu(get_state_dict(runner.model))


once = weights_after("once", 3)
twice = weights_after("twice", 2, 3)
saved = torch.load(f"{sys.argv[1]}/twice/epoch_3.pth", weights_only=True)
equal = all(torch.equal(once[name], twice[name]) for name in once)
whole = all(torch.equal(twice[name], saved["state_dict"][name]) for name in once)
moments = [tuple(state["exp_avg"].shape) for state in saved["optimizer"]["state"].values()]
print(f"rank {torch.distributed.get_rank()}: resumed {equal}, saved {whole}, moments {moments}")
torch.distributed.destroy_process_group()
