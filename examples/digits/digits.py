"""Dataset, preprocessor, model, metric and a hook of the digits example."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from engine_dataset import Compose
from engine_evaluator import BaseMetric
from engine_model import BaseDataPreprocessor, BaseModel
from engine_registry import DATASETS, HOOKS, INFERENCERS, METRICS, MODELS, TRANSFORMS
from engine_runner import Hook, Runner
from engine_runner.infer import Inferencer
from engine_structures import BaseDataElement, LabelData


@DATASETS.register_module()
class Digits(Dataset[tuple[Tensor, int]]):
    """Load the scans of handwritten digits that scikit-learn contains, split by a fixed seed.

    Args:
        split: ``"train"`` (four fifths) or ``"validation"`` (the rest).
        seed: Seed of the split.
        pipeline: The transforms of a sample with ``img``, a scan of 8 x 8 pixels from 0 to 255, and
            ``label``. By default the items are made without any.
    """

    metainfo: ClassVar[dict[str, Any]] = {
        "classes": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    }

    def __init__(
        self,
        split: Literal["train", "validation"],
        seed: int = 0,
        pipeline: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        if split not in ("train", "validation"):
            raise ValueError(f"split must be 'train' or 'validation', got {split!r}")
        data = load_digits()
        order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(seed))
        border = len(order) * 4 // 5
        chosen = order[:border] if split == "train" else order[border:]
        self.images = torch.from_numpy(data.images).float()[chosen, None]  # (N, 1, 8, 8), 0 to 16
        self.labels = torch.from_numpy(data.target).long()[chosen]  # (N,)
        self.pipeline = None if pipeline is None else Compose(pipeline)

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return a scan of shape (1, 8, 8) and its digit."""
        if self.pipeline is None:
            return self.images[index], int(self.labels[index])
        scan = (self.images[index, 0] * 255 / 16).round().byte().numpy()
        packed: tuple[Tensor, int] = self.pipeline({"img": scan, "label": int(self.labels[index])})
        return packed


@TRANSFORMS.register_module()
class PackDigit:
    """Turn a picture of a digit, white on black, into the scan that the model expects."""

    def __call__(self, sample: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Return the picture as a scan of shape (1, 8, 8), 0 to 16, and its label or -1."""
        picture = Image.fromarray(sample["img"]).convert("L").resize((8, 8))
        scan = torch.from_numpy(np.array(picture)).float() * 16 / 255
        return scan.round()[None], sample.get("label", -1)


@MODELS.register_module()
class DigitPreprocessor(BaseDataPreprocessor):
    """Scale scans to -1 to 1 and, in training, shift each by up to one pixel."""

    def forward(self, data: Any, training: bool = False) -> Any:
        """Return the batch on the model's device, ready for the network."""
        images, labels = super().forward(data, training)
        images = images / 8 - 1
        if training:
            rows, columns = torch.randint(0, 3, (2,)).tolist()
            padded = functional.pad(images, (1, 1, 1, 1), value=-1.0)
            images = padded[..., rows : rows + 8, columns : columns + 8]
        return images, labels


@MODELS.register_module()
class DigitClassifier(BaseModel):
    """Classify scans with two convolutions and a linear layer.

    Args:
        width: Channels of the first convolution; the second has twice as many.
        data_preprocessor: Config of the preprocessor.
    """

    def __init__(self, width: int = 32, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.network = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * 4, 10),
        )

    def forward(self, images: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return losses, predictions with labels, or scores of shape (N, 10)."""
        scores = self.network(images)
        if mode == "loss":
            return {"loss": functional.cross_entropy(scores, labels)}
        if mode == "predict":
            return scores.argmax(dim=1), labels
        return scores


@METRICS.register_module()
class DigitAccuracy(BaseMetric):
    """Measure the share of scans whose digit is recognized."""

    default_prefix = ""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Store which scans of a batch were classified correctly."""
        predicted, labels = data_samples
        self.results += (predicted == labels).int().tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the accuracy, from 0 to 1."""
        return {"accuracy": sum(results) / len(results)}


@INFERENCERS.register_module()
class DigitInferencer(Inferencer):
    """Read digits in pictures."""

    def split(self, predictions: Any) -> list[Any]:
        """Return a data element with the digit of each picture."""
        digits, _ = predictions
        return [BaseDataElement(pred_label=LabelData(label=digit[None])) for digit in digits]


@HOOKS.register_module()
class MisreadDigits(Hook):
    """After each validation, save a picture of the scans that were misread.

    Each scan is enlarged, and the digit and what it was read as are written below it.

    Args:
        most: Largest number of scans in the picture.
    """

    zoom, columns = 16, 4

    def __init__(self, most: int = 16) -> None:
        self.most = most
        self.misread: list[tuple[Tensor, int, int]] = []

    def before_val_epoch(self, runner: Runner) -> None:
        """Drop the scans of the previous validation."""
        self.misread.clear()

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Collect the misread scans of a batch."""
        (images, _), (predicted, labels) = data_batch, outputs
        triples = zip(images.cpu(), labels.tolist(), predicted.tolist(), strict=True)
        self.misread += [each for each in triples if each[1] != each[2]]

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Draw the picture, and pass it to the visualizer."""
        shown = self.misread[: self.most]
        if not shown:
            return
        side, band = 8 * self.zoom, 28
        rows = -(-len(shown) // self.columns)
        grid = np.full((rows * (side + band), self.columns * (side + 8), 3), 255, dtype=np.uint8)
        places, texts = [], []
        for number, (scan, label, predicted) in enumerate(shown):
            top, left = number // self.columns * (side + band), number % self.columns * (side + 8)
            pixels = (scan[0] * 255 / 16).byte().numpy()
            large = pixels.repeat(self.zoom, axis=0).repeat(self.zoom, axis=1)
            grid[top : top + side, left : left + side] = large[..., None]
            places.append((left + 4, top + side + 4))
            texts.append(f"{label}, read as {predicted}")
        visualizer = runner.visualizer
        visualizer.set_image(grid)
        visualizer.draw_texts(texts, np.array(places), font_sizes=16, colors="k")
        visualizer.add_image("misread", visualizer.get_image(), step=runner.epoch)
