"""The parts of a toy run: a dataset, a model and a metric."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine_evaluator import BaseMetric
from engine_model import BaseModel


class ToyDataset(Dataset[dict[str, Tensor]]):
    """Twelve random points, each with the label 1.

    Example:
        >>> sample = ToyDataset()[0]
        >>> sample["inputs"].shape, sample["data_samples"]
        (torch.Size([2]), tensor(1.))
    """

    METAINFO: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.data = torch.randn(12, 2)
        self.label = torch.ones(12)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The metainfo of the class."""
        return self.METAINFO

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return ``inputs`` of shape ``(2,)`` and ``data_samples``, a scalar."""
        return {"inputs": self.data[index], "data_samples": self.label[index]}


class ToyModel(BaseModel):
    """Two linear layers, trained to predict the labels.

    Args:
        data_preprocessor: As for `BaseModel`.

    Example:
        >>> ToyModel()(torch.zeros(3, 2)).shape
        torch.Size([3, 1])
    """

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.linear1 = nn.Linear(2, 2)
        self.linear2 = nn.Linear(2, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Return the loss, or predictions of shape ``(N, 1)``.

        Args:
            inputs: Points, ``(N, 2)``, or a list of points.
            data_samples: Labels, ``(N,)``, or a list of them.
            mode: As for `BaseModel`.
        """
        points = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
        outputs = self.linear2(self.linear1(points))
        if mode == "loss":
            labels = torch.stack(list(data_samples))
            return {"loss": (labels[:, None] - outputs).square().mean()}
        return outputs


class ToyMetric(BaseMetric):
    """Count the samples: its ``acc`` is 1.

    Example:
        >>> ToyMetric().compute_metrics([1, 1])
        {'acc': 1.0}
    """

    default_prefix = ""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Store one result per sample.

        Args:
            data_batch: The batch.
            data_samples: The predictions.
        """
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return ``acc``.

        Args:
            results: The stored results.
        """
        return {"acc": sum(results) / len(results)}
