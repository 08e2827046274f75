"""A run whose weights are averaged, and whose metric keeps the weights of each evaluation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.bad_loss_runs import MOMENTUM, Data, Net, loader
from torch import Tensor, nn

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Runner
from engine_runner.hooks import EMAHook

Make = Callable[..., Runner]
Weights = Mapping[str, Tensor]
Model = Callable[[], BaseModel]


class Normed(BaseModel):
    """Two layers with batch normalization, tied outputs and a frozen scale."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Linear(1, 3)
        self.norm = nn.BatchNorm1d(3)
        self.second = nn.Linear(3, 1)
        self.also_second = self.second
        self.scale = nn.Parameter(torch.tensor([2.0]), requires_grad=False)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.scale * self.also_second(self.norm(self.first(x)).relu())
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class WeightsSeen(BaseMetric):
    """Keep the weights with which each evaluation predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = None
        self.seen: list[dict[str, Tensor]] = []

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0.0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        self.seen.append({k: v.detach().clone() for k, v in self.model.state_dict().items()})
        return {"error": float(len(self.seen))}


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights of a model."""
    return {name: item.detach().clone() for name, item in model.state_dict().items()}


def equal(left: Weights, right: Weights) -> bool:
    """Return whether weights have the same names and bits."""
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def epochs(count: int, **more: Any) -> dict[str, Any]:
    """Return the settings of a training by epochs."""
    return {"by_epoch": True, "max_epochs": count, **more}


def checkpoint_of(runner: Runner, name: str) -> dict[str, Any]:
    """Return a checkpoint of a run."""
    found: dict[str, Any] = torch.load(Path(runner.work_dir, name), weights_only=True)
    return found


def hook_of(runner: Runner) -> EMAHook:
    """Return the hook of a run that averages its weights."""
    [hook] = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    return hook


def seen_by(runner: Runner) -> list[dict[str, Tensor]]:
    """Return the weights of each evaluation."""
    metric: Any = runner.val_evaluator.metrics[0]
    seen: list[dict[str, Tensor]] = metric.seen
    return seen


@pytest.fixture
def make(make_runner: Make) -> Make:
    """Return a function that builds a run of a `Normed` model with an `EMAHook`.

    ``ema`` has the arguments of the hook; None leaves it out. Its metric keeps the weights.
    """

    def build(ema: dict[str, Any] | None = {}, **changes: Any) -> Runner:  # noqa: B006  # never changed
        model = changes.pop("model", None) or Normed()
        metric = WeightsSeen()
        metric.model = model
        swa = (ema or {}).get("ema_type") == "StochasticWeightAverage"
        given = {"type": "EMAHook", **({} if swa else {"momentum": 0.3}), **(ema or {})}
        hooks = [] if ema is None else [given]
        own = changes.pop("custom_hooks", [])
        return make_runner(
            model=model, val_evaluator=metric, custom_hooks=[*hooks, *own], **changes
        )

    return build


@pytest.fixture
def normed() -> Callable[[], BaseModel]:
    """Return the class of the model."""
    return Normed


@pytest.fixture
def keep_weights() -> Callable[[], BaseMetric]:
    """Return the class of the metric."""
    return WeightsSeen


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Runner]:
    """Return a function that builds a run of one pass over eight batches."""

    def build(folder: str = "work", **changes: Any) -> Runner:
        arguments: dict[str, Any] = {
            "model": Net(),
            "train_dataloader": loader(Data()),
            "train_cfg": {"by_epoch": True, "max_epochs": 1},
            "optim_wrapper": MOMENTUM,
            "randomness": {"seed": 0},
            **changes,
        }
        return Runner(work_dir=str(tmp_path / folder), **arguments)

    return build
