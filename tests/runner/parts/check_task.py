"""The data, the model and the other parts that the configs of test_check_agrees.py name."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_registry import (
    DATASETS,
    FUNCTIONS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    TRANSFORMS,
    Registry,
)
from engine_runner import EpochBasedTrainLoop, Hook
from engine_runner.hooks import CheckpointHook

built: list[str] = []


@DATASETS.register_module()
class Hills(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Points of a parabola."""

    def __init__(self, size: int = 4, pipeline: Sequence[Any] = ()) -> None:
        built.append("dataset")
        self.x = torch.linspace(-1, 1, size)[:, None]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], self.x[index] ** 2


@TRANSFORMS.register_module()
class Shift:
    """A transform with one argument."""

    def __init__(self, by: float = 1.0) -> None:
        self.by = by

    def __call__(self, sample: Any) -> Any:
        return sample


@MODELS.register_module()
class Slope(BaseModel):
    """A linear layer; ``train_cfg`` is its own, as many models have one."""

    def __init__(
        self,
        width: int = 1,
        train_cfg: dict[str, Any] | None = None,
        norm_cfg: dict[str, Any] | None = None,
        data_preprocessor: Any = None,
    ) -> None:
        super().__init__(data_preprocessor)
        built.append("model")
        self.linear = nn.Linear(1, width)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.linear(x)
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return predicted, y


@METRICS.register_module()
class Distance(BaseMetric):
    """Mean absolute difference."""

    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        predicted, y = data_samples
        self.results += (predicted - y).abs().flatten().tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"distance": self.scale * sum(results) / len(results)}


@HOOKS.register_module()
class Bell(Hook):
    """Rings every few iterations."""

    def __init__(self, every: int = 1) -> None:
        self.every = every


@HOOKS.register_module()
class Saver(CheckpointHook):
    """A hook whose further arguments are those of its base."""

    def __init__(self, note: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.note = note


@LOOPS.register_module()
class GentleLoop(EpochBasedTrainLoop):
    """A loop of the user's own."""


HILLS = Registry("model", parent=MODELS, scope="hills")


@HILLS.register_module()
class Ridge(Slope):
    """A model of a scope of its own."""


@FUNCTIONS.register_module()
def seed_worker(worker_id: int, num_workers: int, rank: int, seed: int, salt: int = 0) -> None:
    """Seed a worker."""
