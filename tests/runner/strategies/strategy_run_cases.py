"""Runs of two processes with each strategy, and what they end with; run_ranks.py runs them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import barrier
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_registry import MODELS, STRATEGIES
from engine_runner import DDPStrategy, Runner
from engine_runner._errors import SettingsError
from engine_runner.tuning import find_learning_rate

CPU = torch.device("cpu")
RUN: dict[str, Any] = {
    "train_dataloader": {
        "dataset": [(torch.ones(3),) for _ in range(4)],
        "sampler": {"type": "DefaultSampler"},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
    },
    "train_cfg": {"by_epoch": True, "max_epochs": 1},
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
    "launcher": "pytorch",
}


@STRATEGIES.register_module(force=True)
class OtherDDP(DDPStrategy):
    """A strategy of the user's own."""


def _message(action: Callable[[], object]) -> str:
    """Return the message of the error that an action raises."""
    try:
        action()
    except SettingsError as error:
        return str(error)
    return ""


class Tokens(BaseModel):
    """A model with a parameter of its own, besides those of its layers."""

    def __init__(self, fills: bool = True) -> None:
        super().__init__()
        self.fills = fills
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 1)
        self.scale = nn.Parameter(torch.ones(4))

    def init_weights(self) -> None:
        nn.init.normal_(self.first.weight)
        if self.fills:
            nn.init.ones_(self.scale)

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        outputs = self.second(self.first(x).tanh() * self.scale)
        if mode == "loss":
            return {"loss": (outputs - 1).square().mean()}
        return [{"error": float((one - 1).abs())} for one in outputs]


MODELS.register_module(module=Tokens, force=True)


class MeanError(BaseMetric):
    """The mean distance from one."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [sample["error"] for sample in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"error": sum(results) / len(results)}


def features(rank: int, folder: Path) -> dict[str, Any]:
    """Train with each strategy and all features; return how the runs differ from that of DDP."""
    given: dict[str, Any] = {
        "ddp": "DDPStrategy",
        "units": {"type": "FSDPStrategy", "auto_wrap_policy": "Linear"},
        "copies": {"type": "FSDPStrategy", "mesh": [-1, 1], "auto_wrap_policy": 4},
        "checkpoints": {"type": "FSDPStrategy", "activation_checkpointing": "Linear"},
    }
    found: dict[str, Any] = {}
    for name, strategy in given.items():
        found[name] = _train_with_features(folder / name, strategy)
    weights = {name: found[name].pop("weights") for name in found}
    for name, state in weights.items():
        close = [torch.allclose(state[key], weights["ddp"][key], atol=1e-6) for key in state]
        found[name]["equal"] = len(state) == len(weights["ddp"]) and all(close)
    return found


def _train_with_features(folder: Path, strategy: Any) -> dict[str, Any]:
    data = [(torch.tensor([float(n), 1.0, n / 4]),) for n in range(12)]
    loader = {
        "dataset": data,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
    }
    runner = Runner(
        model={"type": "Tokens"},
        work_dir=str(folder),
        strategy=strategy,
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": 2},
        val_dataloader=loader,
        val_cfg={},
        val_evaluator=MeanError(),
        optim_wrapper={
            "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9},
            "accumulative_counts": 3,
            "clip_grad": {"max_norm": 0.5},
        },
        custom_hooks=[
            {"type": "EMAHook", "momentum": 0.5},
            {"type": "GradientNormHook", "per_module": True, "interval": 1},
        ],
        launcher="pytorch",
        randomness={"seed": 5},
    )
    rates = find_learning_rate(runner, 1e-4, 1e-2, 4)
    runner.train()
    hub = runner.message_hub
    scalars = ("train/grad_norm", "train/grad_norm/first", "val/error")
    logged = {name: round(float(hub.get_scalar(name).current()), 4) for name in scalars}
    barrier()
    saved = torch.load(folder / "epoch_2.pth", weights_only=False)
    averages = {f"ema.{k}": v for k, v in saved["ema_state_dict"].items() if torch.is_tensor(v)}
    logged |= {f"loss {n}": round(loss, 4) for n, loss in enumerate(rates.losses)}
    return {"logged": logged, "weights": {**saved["state_dict"], **averages}}


def on_meta(rank: int, folder: Path) -> dict[str, Any]:
    """Train a model that is built without memory for its parameters, and one that stays empty."""
    strategy = {"type": "FSDPStrategy", "build_on_meta": True, "auto_wrap_policy": "Linear"}
    found: dict[str, Any] = {}
    for name in ("filled", "empty", "loaded"):
        model = {"type": "Tokens", "fills": name == "filled"}
        source = str(folder / "filled" / "epoch_1.pth") if name == "loaded" else None
        runner = Runner(
            model=model, work_dir=str(folder / name), strategy=strategy, load_from=source, **RUN
        )
        found[name] = _message(runner.train)
        barrier()
    found["object"] = _message(
        lambda: Runner(model=Tokens(), work_dir=str(folder / "o"), strategy=strategy, **RUN)
    )
    weights = torch.load(folder / "filled" / "epoch_1.pth", weights_only=False)["state_dict"]
    found["finite"] = all(bool(one.isfinite().all()) for one in weights.values())
    found["rows"] = len({tuple(row.tolist()) for row in weights["first.weight"]})
    return found


def choose(rank: int, folder: Path) -> dict[str, str]:
    """Return the class and the wrapper that each value of ``strategy`` leads to."""
    given: dict[str, Any] = {
        "none": None,
        "name": "FSDPStrategy",
        "config": {"type": "DDPStrategy", "model_wrapper": "MMSeparateDistributedDataParallel"},
        "object": DDPStrategy(CPU),
        "user": {"type": "OtherDDP"},
    }
    found = {}
    for name, strategy in given.items():
        cfg = {"model": Tokens(), "work_dir": str(folder / name), "strategy": strategy, **RUN}
        runner = Runner.from_cfg(cfg) if name == "config" else Runner(**cfg)
        if name != "config":  # its wrapper needs a mapping of optimizers
            runner.train()
        found[name] = f"{type(runner.strategy).__name__} {type(runner.model).__name__}"
    return found


def model_name(rank: int, folder: Path) -> dict[str, str]:
    """Return the name of the model in each wrapper."""
    found = {}
    for name in ("DDPStrategy", "FSDPStrategy"):
        cfg: dict[str, Any] = {"work_dir": str(folder / name), "strategy": name, **RUN}
        found[name] = Runner(model=Tokens(), **cfg).model_name
    return found


CASES: dict[str, Callable[[int, Path], Any]] = {
    "choose": choose,
    "features": features,
    "model_name": model_name,
    "on_meta": on_meta,
}
