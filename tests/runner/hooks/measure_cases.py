"""Runs of two ranks: traces, throughput, gradient norms and scaled learning rates."""

from pathlib import Path
from typing import Any

import torch

from engine_model import BaseModel, get_state_dict, weights_to_cpu
from engine_runner import Runner
from engine_runner.hooks import GradientNormHook, ProfilerHook, ThroughputHook
from engine_runner.tuning import find_learning_rate

LOADER = {
    "dataset": [(torch.tensor([float(index), 1.0, 2.0]),) for index in range(14)],
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 2,
}


class Net(BaseModel):
    """A backbone and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = torch.nn.Linear(3, 4)
        self.head = torch.nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        out = self.head(self.backbone(x).relu())
        return {"loss": out.square().mean()} if mode == "loss" else out


def _train(folder: Path, **changes: Any) -> Runner:
    runner = Runner(
        Net(),
        folder,
        train_dataloader=LOADER,
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}, "checkpoint": None},
        launcher="pytorch",
        **changes,
    )
    runner.train()
    return runner


def _scalars(runner: Runner, name: str) -> list[float]:
    values: list[float] = runner.message_hub.get_scalar(f"train/{name}").data[0].tolist()
    return values


def profile(rank: int, folder: Path) -> Any:
    """Profile on each rank, and return the files."""
    hook = ProfilerHook(by_epoch=False, profile_times=2, json_trace_path=folder / "t.json")
    runner = _train(folder / "run", custom_hooks=[hook])
    torch.distributed.barrier()
    labeled = "head (Linear)" in (folder / f"t_rank{rank}.json").read_text()
    return sorted(path.name for path in folder.glob("*.json")), labeled, runner.iter


def throughput(rank: int, folder: Path) -> Any:
    """Return the samples of all ranks, and the operations that each strategy was counted with."""
    found = []
    for name in ("DDPStrategy", "FSDPStrategy"):
        hook = ThroughputHook()
        runner = _train(folder / name, strategy=name, custom_hooks=[hook])
        rates, tflops = _scalars(runner, "samples_per_s"), _scalars(runner, "tflops")
        found.append(round(tflops[0] * 1e12 * runner.world_size / rates[0]))
    hook._samples = rank + 1  # each rank has its own; their sum is logged
    return [*found, hook._of_all_ranks()[0]]


def norms(rank: int, folder: Path) -> Any:
    """Return the norms under DDP, under FSDP, and of the gradient over all samples."""
    hooks = [GradientNormHook(per_module=True, interval=1)]
    found = {}
    for name in ("DDPStrategy", "FSDPStrategy"):
        runner = _train(folder / name, strategy=name, custom_hooks=hooks)
        keys = ("grad_norm", "grad_norm/head", "grad_norm/backbone")
        found[name] = [_scalars(runner, key)[0] for key in keys]
    model = Net()
    batch = torch.stack([LOADER["dataset"][index][0] for index in range(4)])  # type: ignore[index]
    model(batch, mode="loss")["loss"].backward()
    parts = [model, model.head, model.backbone]
    found["whole"] = [
        float(
            torch.nn.utils.get_total_norm([p.grad for p in part.parameters() if p.grad is not None])
        )
        for part in parts
    ]
    return found


def scale(rank: int, folder: Path) -> Any:
    """Return the scaled rate of two ranks."""
    runner = Runner(
        Net(),
        folder,
        train_dataloader=LOADER,
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        auto_scale_lr={"enable": True, "base_batch_size": 16},
        launcher="pytorch",
    )
    runner.train()
    return runner.optim_wrapper.get_lr()["lr"]


def search(rank: int, folder: Path) -> Any:
    """Search for a learning rate under each strategy; return the losses, and what has changed."""
    found = {}
    for name in ("DDPStrategy", "FSDPStrategy"):
        runner = Runner(
            Net(),
            folder / name,
            train_dataloader=LOADER,
            train_cfg={"by_epoch": True, "max_epochs": 1},
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
            launcher="pytorch",
            strategy=name,
        )
        before = weights_to_cpu(get_state_dict(runner.model))
        curve = find_learning_rate(runner, 1e-5, 1e-1, 8)
        after = weights_to_cpu(get_state_dict(runner.model))
        kept = all(torch.equal(before[key], after[key]) for key in before)
        found[name] = [curve.losses, kept, len(runner.optim_wrapper.optimizer.state)]
    return found


CASES = {
    "search": search,
    "profile": profile,
    "throughput": throughput,
    "norms": norms,
    "scale": scale,
}
