"""Trainings of one of several processes: sharded_runs.py RANK WORLD FOLDER JOBS.

JOBS is JSON: a list of the arguments of `train`. Rank 0 writes the weights after each job to
FOLDER/NAME.pt, and each rank what it found to FOLDER/NAME.RANK.json. Not a test module.
"""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from engine_dist import get_world_size
from engine_model import BaseModel, get_state_dict, is_sharded, weights_to_cpu
from engine_runner import Hook, Runner

WRITERS = {
    "plain": None,
    "sharded": "ShardedWriter",
    "background": {"type": "ShardedWriter", "asynchronous": True},
}
BATCH = 8  # samples per iteration on all ranks: the same ones, however many ranks there are


class Curve(BaseModel):
    """Two layers, of which each rank holds a part; one has fewer rows than there are ranks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 8)
        self.second = torch.nn.Linear(8, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        outputs = self.second(self.first(x).relu())
        return {"loss": (outputs - x.square().sum(1, keepdim=True)).square().mean()}


class Found(Hook):
    """Note what was collected, and count the iterations, in a state of its own."""

    def __init__(self) -> None:
        self.seen = 0
        self.sharded: set[bool] = set()

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "large": torch.full((200, 200), float(self.seen))}

    def load_state_dict(self, state_dict: Any) -> None:
        assert state_dict["large"].unique().tolist() == [state_dict["seen"]]
        self.seen = state_dict["seen"]

    def after_train_iter(self, runner: Any, *arguments: Any, **given: Any) -> None:
        self.seen += 1

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        self.sharded.add(is_sharded(checkpoint["state_dict"]["first.weight"]))
        self.sharded.add(is_sharded(checkpoint["ema_state_dict"]["module.first.weight"]))


def train(
    folder: Path,
    name: str,
    *,
    strategy: str | None = None,
    writer: str = "plain",
    iterations: int = 11,
    interval: int = -1,
    load: str | None = None,
    resume: bool = False,
    step: int = 3,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Train, and return what was found and the whole weights."""
    draw = torch.Generator().manual_seed(0)
    data = [(torch.randn(3, generator=draw),) for _ in range(24)]
    torch.manual_seed(0)
    found = Found()
    options: dict[str, Any] = {"strategy": strategy} if strategy else {}
    runner = Runner(
        Curve(),
        folder / name,
        train_dataloader={
            "dataset": data,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "batch_size": BATCH // get_world_size(),
        },
        train_cfg={"by_epoch": False, "max_iters": iterations},
        optim_wrapper={
            "optimizer": {"type": "Adam", "lr": 0.02},
            "accumulative_counts": step,
            "clip_grad": {"max_norm": 5.0},
        },
        param_scheduler={"type": "LinearLR", "by_epoch": False, "end": 11},
        default_hooks={
            "checkpoint": {
                "type": "CheckpointHook",
                "by_epoch": False,
                "interval": interval,
                "max_keep_ckpts": 2,
                "writer": WRITERS[writer],
            }
        },
        custom_hooks=[{"type": "EMAHook", "momentum": 0.1}, found],
        randomness={"seed": 3},
        launcher="pytorch" if get_world_size() > 1 else "none",
        load_from=str(folder / load) if load else None,
        resume=resume,
        **options,
    )
    runner.train()
    weights = weights_to_cpu(get_state_dict(runner.model))
    facts = {"sharded": sorted(found.sharded), "seen": found.seen, "iter": runner.iter}
    return facts, weights


def main(rank: int, world: int, folder: Path, jobs: list[dict[str, Any]]) -> None:
    torch.set_num_threads(1)
    if world > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/store{world}-{jobs[0]['name']}",
            rank=rank,
            world_size=world,
            timeout=timedelta(seconds=120),
        )
    for job in jobs:
        facts, weights = train(folder, **job)
        (folder / f"{job['name']}.{rank}.json").write_text(json.dumps(facts))
        if rank == 0:
            torch.save(weights, folder / f"{job['name']}.pt")
    if world > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    first, second, third, jobs = sys.argv[1:]
    main(int(first), int(second), Path(third), json.loads(jobs))
    sys.stdout.flush()
    os._exit(0)
