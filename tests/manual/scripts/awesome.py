"""The registered parts of the runner tutorial (manual, 1053)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_registry import DATASETS, METRICS, MODELS


@MODELS.register_module()
class MyAwesomeModel(BaseModel):
    """A perceptron of points in the plane."""

    def __init__(self, layers: int = 4, activation: str = "relu") -> None:
        super().__init__()
        kinds = {"relu": nn.ReLU, "silu": nn.SiLU, "none": nn.Identity}
        kind = kinds[activation]
        sequence: list[nn.Module] = [nn.Linear(2, 64), kind()]
        for _ in range(layers - 1):
            sequence.extend([nn.Linear(64, 64), kind()])
        self.mlp = nn.Sequential(*sequence)
        self.classifier = nn.Linear(64, 2)

    def forward(self, data: Tensor, labels: Tensor, mode: str) -> Any:
        """Return the outputs, the probabilities and labels, or the loss."""
        x = self.classifier(self.mlp(data))
        if mode == "tensor":
            return x
        if mode == "predict":
            return functional.softmax(x, dim=1), labels
        return {"loss": functional.cross_entropy(x, labels)}


@DATASETS.register_module()
class MyDataset(Dataset[tuple[Tensor, Tensor]]):
    """Points on two rings; the label is the ring."""

    def __init__(self, is_train: bool, size: int) -> None:
        torch.manual_seed(0 if is_train else 3407)
        self.labels = torch.randint(0, 2, (size,))
        r = 3 * (self.labels + 1) + torch.randn(self.labels.shape)
        theta = torch.rand(self.labels.shape) * 2 * torch.pi
        self.data = torch.vstack([r * torch.cos(theta), r * torch.sin(theta)]).T

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.data[index], self.labels[index]

    def __len__(self) -> int:
        return len(self.data)


@METRICS.register_module()
class Accuracy(BaseMetric):
    """The percentage of right labels."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Count the right labels of a batch."""
        score, gt = data_samples
        self.results.append(
            {"batch_size": len(gt), "correct": (score.argmax(dim=1) == gt).sum().cpu()}
        )

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return the percentage."""
        correct = sum(result["correct"] for result in results)
        size = sum(result["batch_size"] for result in results)
        return {"accuracy": 100 * correct / size}
