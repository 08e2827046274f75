"""Averages of weights in runs of two ranks: what they train, validate, save and resume."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_gather_object
from engine_evaluator import BaseMetric
from engine_model import BaseModel, get_state_dict, weights_to_cpu
from engine_runner import Hook, Runner
from engine_runner.hooks import EMAHook

POINTS = [(torch.tensor([float(value)]), torch.tensor([3.0 * value])) for value in range(-4, 4)]
LOADER = {
    "dataset": POINTS,
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 2,
}


class Net(BaseModel):
    """Two layers, with statistics of this rank's data that do not change the output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first = nn.Linear(1, 3)
        self.second = nn.Linear(3, 1)
        self.norm = nn.BatchNorm1d(1, affine=False)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.norm(x)
        outputs = self.second(self.first(x).tanh())
        return {"loss": (outputs - y).square().mean()} if mode == "loss" else (outputs, y)


class Predictions(BaseMetric):
    """Sum of all predictions."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += data_samples[0].flatten().tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"sum": sum(results)}


def _run(work_dir: Path, ema: Mapping[str, Any] | None, epochs: int, **more: Any) -> Runner:
    hook = {"type": "EMAHook", "momentum": 0.3, **(ema or {})}
    runner = Runner(
        Net(),
        str(work_dir),
        train_dataloader=LOADER,
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}},
        val_dataloader=LOADER,
        val_cfg={},
        val_evaluator=Predictions(),
        launcher="pytorch",
        randomness={"seed": 0},
        **{"custom_hooks": None if ema is None else [hook], **more},
    )
    runner.train()
    return runner


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: item.clone() for name, item in weights_to_cpu(get_state_dict(model)).items()}


def _hook(runner: Runner) -> EMAHook:
    return next(hook for hook in runner.hooks if isinstance(hook, EMAHook))


def _same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def _average(wrapper: str | None, ema: Mapping[str, Any], rank: int, folder: Path) -> Any:
    """Compare a resumed run with a whole one, and the averages with what is validated and saved."""
    name = f"{wrapper}-{len(ema)}"
    settings = {"model_wrapper_cfg": wrapper}
    whole = _run(folder / f"{name}-whole", ema, 3, **settings)
    _run(folder / f"{name}-parts", ema, 2, **settings)
    resumed = _run(folder / f"{name}-parts", ema, 3, resume=True, **settings)
    plain = _run(folder / f"{name}-plain", None, 3, **settings)
    trained, again, alike = (
        _state(runner.strategy.unwrap(runner.model)) for runner in (whole, resumed, plain)
    )
    average = _state(_hook(whole).ema_model.module)
    checkpoint = torch.load(folder / f"{name}-whole" / "epoch_3.pth", weights_only=True)
    alone = Net()
    alone.load_state_dict(checkpoint["state_dict"])
    with torch.no_grad():
        predicted = sum(alone.eval()(x[None], y, mode="predict")[0].item() for x, y in POINTS)
    states = all_gather_object(checkpoint["state_dict"])
    return {
        "resumed": _same(trained, again),
        "unaffected": _same(trained, alike),
        "average": _same(_state(_hook(whole).ema_model), _state(_hook(resumed).ema_model)),
        "saved": all(
            torch.equal(checkpoint["state_dict"][key], average[key])
            for key in average
            if "norm" not in key
        ),
        "validated": bool(
            abs(whole.message_hub.get_scalar("val/sum").current() - predicted) < 1e-4
        ),
        "equal_ranks": all(_same(states[0], state) for state in states),
        "mean": checkpoint["state_dict"]["norm.running_mean"].item(),
        "moved": not torch.equal(
            checkpoint["state_dict"]["first.weight"],
            checkpoint["ema_state_dict"]["module.first.weight"],
        ),
        "steps": int(checkpoint["ema_state_dict"]["steps"]),
    }


def _mean(wrapper: str | None, folder: Path) -> dict[str, Any]:
    """Compare a mean of weights with one by hand, and its statistics with those of all data."""
    ends = Ends()
    more = {"model_wrapper_cfg": wrapper}
    hook: dict[str, Any] = {"custom_hooks": [{"type": "SWAHook", "begin_epoch": 2}, ends], **more}
    whole = _run(folder / "whole", None, 4, **hook)
    plain = _run(folder / "plain", None, 4, **more)
    parts = {**hook, "custom_hooks": [{"type": "SWAHook", "begin_epoch": 2}]}
    _run(folder / "parts", None, 3, **parts)
    resumed = _run(folder / "parts", None, 4, resume=True, **parts)
    average = _state(_hook(whole).ema_model)
    by_hand = {
        name: torch.stack([weights[name] for weights in ends.weights[1:]]).mean(0)
        for name in ends.weights[0]
        if "norm" not in name
    }
    saved = torch.load(folder / "whole" / "epoch_4.pth", weights_only=True)
    trained = _state(whole.strategy.unwrap(whole.model))
    beside = {key.removeprefix("module."): item for key, item in saved["ema_state_dict"].items()}
    return {
        "mean": average["module.norm.running_mean"].item(),
        "saved_mean": saved["state_dict"]["norm.running_mean"].item(),
        "by_hand": all(
            torch.allclose(saved["state_dict"][name], item) for name, item in by_hand.items()
        ),
        "resumed": _same(average, _state(_hook(resumed).ema_model)),
        "unaffected": _same(trained, _state(plain.strategy.unwrap(plain.model))),
        "beside": all(
            torch.equal(item, beside[name]) for name, item in trained.items() if "norm" not in name
        ),
    }


class Ends(Hook):
    """Keep the weights at the end of each epoch."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []

    def after_train_epoch(self, runner: Any) -> None:
        self.weights.append(_state(runner.strategy.unwrap(runner.model)))


class Watch(Hook):
    """Note the running mean of each rank around the hook that averages it."""

    def __init__(self, priority: str) -> None:
        self.priority = priority
        self.means: list[float] = []

    def after_train_epoch(self, runner: Any) -> None:
        own = runner.model.module.norm.running_mean.item()
        self.means = all_gather_object(own)


def _sync(rank: int, folder: Path) -> dict[str, list[float]]:
    """Return the running means of both ranks before and after `SyncBuffersHook`."""
    before, after = Watch("HIGH"), Watch("LOW")
    _run(folder, None, 1, custom_hooks=[{"type": "SyncBuffersHook"}, before, after])
    return {"before": before.means, "after": after.means}


def _case(wrapper: str | None, **ema: Any) -> Callable[[int, Path], Any]:
    return lambda rank, folder: _average(wrapper, ema, rank, folder)


CASES: dict[str, Callable[[int, Path], Any]] = {
    "ddp": _case(None),
    "ddp-buffers": _case(None, update_buffers=True),
    "fsdp": _case("MMFullyShardedDataParallel"),
    "fsdp-buffers": _case("MMFullyShardedDataParallel", update_buffers=True),
    "swa": lambda rank, folder: _mean(None, folder),
    "swa-fsdp": lambda rank, folder: _mean("MMFullyShardedDataParallel", folder),
    "sync": _sync,
}
