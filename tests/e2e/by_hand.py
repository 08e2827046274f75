"""A small task, trained for ten steps: by `Runner`, and by a loop of plain PyTorch."""

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Runner

BATCH, EPOCHS, STEPS = 4, 2, 10
FEATURES = (
    "accumulation",
    "activation_checkpointing",
    "adamw",
    "averaging",
    "bfloat16",
    "clipping",
    "frozen",
    "groups",
    "limit",
    "observers",
    "resumed",
    "schedule",
    "two_losses",
    "validation",
)


class Points(Dataset[tuple[Tensor, Tensor]]):
    """Twenty points of four coordinates, in two classes."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.points = torch.randn(20, 4, generator=generator)
        self.labels = (self.points.sum(1) > 0).long()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.points[index], self.labels[index]


class Network(nn.Module):
    """Two layers with a normalization between them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, points: Tensor) -> Tensor:
        outputs: Tensor = self.head(functional.relu(self.norm(self.stem(points))))
        return outputs


def losses_of(outputs: Tensor, labels: Tensor, two: bool) -> list[Tensor]:
    losses = [functional.cross_entropy(outputs.float(), labels)]
    return [*losses, outputs.float().square().mean()] if two else losses


class Model(BaseModel):
    """The network as a model of the runner."""

    def __init__(self, two_losses: bool) -> None:
        super().__init__()
        self.network = Network()
        self.two_losses = two_losses

    def forward(self, points: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        outputs = self.network(points)
        if mode == "predict":
            return outputs.argmax(1)
        losses = losses_of(outputs, labels, self.two_losses)
        return {f"loss_{number}": loss for number, loss in enumerate(losses)}


class Count(BaseMetric):
    """The number of samples."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        return {"count": sum(results)}


def by_hand(features: Collection[str]) -> dict[str, Tensor]:
    """Return the weights, averaged ones under ``average.…``, after a loop of plain PyTorch."""
    network = Network()
    if "frozen" in features:
        network.stem.requires_grad_(False)
    optimizer = _optimizer(network, features)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7], gamma=0.5)
    rule = get_ema_multi_avg_fn(0.9)  # type: ignore[no-untyped-call]  # torch's
    average = AveragedModel(network, multi_avg_fn=rule)
    batches = list(DataLoader(Points(), batch_size=BATCH))
    batches = batches[:3] if "limit" in features else batches
    window = 3 if "accumulation" in features else 1
    total = EPOCHS * len(batches)
    for step in range(total):
        points, labels = batches[step % len(batches)]
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in features):
            outputs = network(points)
            losses = losses_of(outputs, labels, "two_losses" in features)
        size = window if step < total - total % window else total % window
        loss = sum(losses[1:], losses[0])
        (loss / size if size > 1 else loss).backward()  # type: ignore[no-untyped-call]  # torch's
        if (step + 1) % window == 0 or step + 1 == total:
            if "clipping" in features:
                trained = [one for one in network.parameters() if one.grad is not None]
                clip_grad_norm_(trained, 0.5)
            optimizer.step()
            optimizer.zero_grad()
        if "schedule" in features:
            scheduler.step()
        average.update_parameters(network)
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    if "averaging" in features:
        averaged = average.module.named_parameters()
        weights |= {f"average.{name}": value.detach() for name, value in averaged}
    return weights


def _optimizer(network: Network, features: Collection[str]) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = []
    for name, value in network.named_parameters():
        plain = "groups" in features and (name.endswith("bias") or name.startswith("norm"))
        if value.requires_grad:
            groups.append({"params": [value], "weight_decay": 0.0 if plain else 0.01})
    if "adamw" in features:
        return torch.optim.AdamW(groups, lr=0.01)
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def by_runner(features: Collection[str], folder: Path) -> dict[str, Tensor]:
    """Return the same weights after a training of `Runner`."""
    settings = _settings(features, folder)
    if "resumed" in features:
        first = _settings(features, folder)
        hooks = [*first.pop("custom_hooks"), {"type": "StopAt", "iteration": 4}]
        with contextlib.suppress(InterruptedError):
            Runner(**first, custom_hooks=hooks).train()
        settings["resume"] = True
    runner = Runner(**settings)
    runner.train()
    model: Any = runner.model
    weights = {name: value.detach() for name, value in model.network.state_dict().items()}
    if "averaging" in features:
        (hook,) = [hook for hook in runner.hooks if type(hook).__name__ == "EMAHook"]
        averaged: Any = hook.ema_model  # type: ignore[attr-defined]  # EMAHook's
        weights |= {
            f"average.{name}": value.detach()
            for name, value in averaged.module.network.named_parameters()
        }
    return weights


def _settings(features: Collection[str], folder: Path) -> dict[str, Any]:
    wrapper = _wrapper_settings(features)
    hooks: list[dict[str, Any]] = []
    if "averaging" in features:
        hooks.append({"type": "EMAHook", "momentum": 0.1})
    if "observers" in features:
        hooks += [{"type": "ThroughputHook"}, {"type": "GradientNormHook"}]
    settings: dict[str, Any] = {
        "model": Model("two_losses" in features),
        "work_dir": folder,
        "train_dataloader": {
            "dataset": Points(),
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "default_collate"},
            "batch_size": BATCH,
        },
        "train_cfg": {"by_epoch": True, "max_epochs": EPOCHS},
        "optim_wrapper": wrapper,
        "custom_hooks": hooks,
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 4},
            "logger": {"type": "LoggerHook", "interval": 2},
        },
        "randomness": {"seed": 0},
        "log_level": "WARNING",
    }
    if "limit" in features:
        settings["train_cfg"]["num_batch_per_epoch"] = 3
    if "schedule" in features:
        settings["param_scheduler"] = {
            "type": "MultiStepLR",
            "milestones": [3, 7],
            "gamma": 0.5,
            "by_epoch": False,
        }
    if "activation_checkpointing" in features:
        settings["strategy"] = {
            "type": "SingleDeviceStrategy",
            "activation_checkpointing": ["network.stem"],
        }
    if "validation" in features:
        settings |= {
            "val_dataloader": settings["train_dataloader"],
            "val_cfg": {},
            "val_evaluator": Count(),
        }
    return settings


def _wrapper_settings(features: Collection[str]) -> dict[str, Any]:
    optimizer = {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    if "adamw" in features:
        optimizer = {"type": "AdamW", "lr": 0.01, "weight_decay": 0.01}
    wrapper: dict[str, Any] = {"optimizer": optimizer}
    if "bfloat16" in features:
        wrapper |= {"type": "AmpOptimWrapper", "dtype": "bfloat16"}
    if "accumulation" in features:
        wrapper["accumulative_counts"] = 3
    if "clipping" in features:
        wrapper["clip_grad"] = {"max_norm": 0.5}
    paramwise: dict[str, Any] = {}
    if "groups" in features:
        paramwise |= {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0}
    if "frozen" in features:
        paramwise["custom_keys"] = {"stem": {"requires_grad": False}}
    return {**wrapper, "paramwise_cfg": paramwise} if paramwise else wrapper
