"""A run that fits in a few milliseconds, for faults that users reported."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine_evaluator import BaseMetric
from engine_logging import MessageHub, MMLogger
from engine_model import BaseModel
from engine_runner import Runner
from engine_visualization import Visualizer


class Slope(Dataset[tuple[Tensor, Tensor]]):
    """``size`` points of the line y = 2x."""

    def __init__(self, size: int = 8) -> None:
        self.x = torch.linspace(-1, 1, size)[:, None]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], 2 * self.x[index]


class Fit(BaseModel):
    """One linear layer, with the same initial weights each time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        nn.init.constant_(self.linear.weight, 0.5)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.linear(x)
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class Scores(BaseMetric):
    """Report the number of samples as ``n``, and the given scores in turn as ``acc``."""

    def __init__(self, scores: Sequence[float] = (), prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.scores = list(scores)

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        self.results += [1.0] * len(data_samples[0])

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"n": sum(results), "acc": self.scores.pop(0) if self.scores else 0.0}


def loader(dataset: Any = None, **options: Any) -> dict[str, Any]:
    """Return the config of a loader of `Slope` in its order, two samples per batch."""
    return {
        "dataset": Slope() if dataset is None else dataset,
        "batch_size": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        **options,
    }


@pytest.fixture
def toy_run(tmp_path: Path) -> Callable[..., Runner]:
    """Return a function that builds a run of two epochs of four batches.

    Keyword arguments are arguments of `Runner`; None removes one.
    ``validate=[0.1, 0.2]`` adds a validation whose metric ``acc`` takes these values in turn.
    """

    def build(validate: Sequence[float] | None = None, **changes: Any) -> Runner:
        arguments: dict[str, Any] = {
            "model": Fit(),
            "work_dir": str(tmp_path / "work"),
            "train_dataloader": loader(),
            "train_cfg": {"by_epoch": True, "max_epochs": 2},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
            "randomness": {"seed": 0},
        }
        if validate is not None:
            arguments |= {
                "val_dataloader": loader(),
                "val_cfg": {},
                "val_evaluator": Scores(validate),
            }
        arguments |= changes
        return Runner(**{name: value for name, value in arguments.items() if value is not None})

    return build


@pytest.fixture(autouse=True)
def _close_named_instances() -> Iterator[None]:
    yield
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for kind in (MessageHub, Visualizer):
        for name in list(kind._instance_dict):
            kind.release_instance(name)
