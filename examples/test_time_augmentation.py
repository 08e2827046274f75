"""Train the digits model, and test it on each scan and on shifted views of each scan.

python examples/test_time_augmentation.py
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine_config import Config
from engine_evaluator import BaseMetric
from engine_model import BaseTTAModel
from engine_registry import METRICS, MODELS, TRANSFORMS
from engine_runner import Runner
from engine_runner.hooks import tta_config

sys.path.append(str(Path(__file__).parent / "digits"))

from digits import (  # type: ignore[import-not-found]  # digits.py of that folder
    DigitClassifier,
    PackDigit,
)

Prediction = tuple[Tensor, Tensor]  # the scores of the ten digits, and the label


@MODELS.register_module()
class DigitScores(DigitClassifier):  # type: ignore[misc]  # mypy has no types of digits.py
    """Predict the scores of each scan, because those of several views can be averaged."""

    def forward(self, images: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return losses, one prediction per scan, or scores of shape (N, 10)."""
        if mode == "predict":
            return list(zip(self.network(images).softmax(dim=1), labels, strict=True))
        return super().forward(images, labels, mode)


@MODELS.register_module()
class MeanOfScores(BaseTTAModel):
    """Average the scores of all views of a scan."""

    def merge_preds(self, data_samples_list: list[list[Prediction]]) -> list[Prediction]:
        """Return one prediction per scan."""
        return [
            (torch.stack([scores for scores, _ in views]).mean(dim=0), views[0][1])
            for views in data_samples_list
        ]


@TRANSFORMS.register_module()
class ShiftedViews:
    """Return five views of a scan: itself, and shifted by a pixel to each side."""

    def __call__(self, sample: Mapping[str, Any]) -> tuple[list[Tensor], list[int]]:
        """Return the views, each of shape (1, 8, 8), and a label for each."""
        scan, label = PackDigit()(sample)
        padded = functional.pad(scan, (1, 1, 1, 1))
        corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
        views = [padded[:, row : row + 8, column : column + 8] for row, column in corners]
        return views, [label] * len(views)


@METRICS.register_module()
class ScoreAccuracy(BaseMetric):
    """Measure the share of scans whose digit has the highest score."""

    default_prefix = ""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Store which scans of a batch were classified correctly."""
        self.results += [int(scores.argmax() == label) for scores, label in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the accuracy, from 0 to 1."""
        return {"accuracy": sum(results) / len(results)}


def make_config() -> Config:
    """Return a training and a test, with the two keys of test-time augmentation."""
    loader = dict(batch_size=32, collate_fn=dict(type="default_collate"))
    pipeline = [dict(type="PackDigit")]
    return Config(
        dict(
            model=dict(type="DigitScores", data_preprocessor=dict(type="DigitPreprocessor")),
            work_dir="work_dirs/test_time_augmentation",
            train_dataloader=dict(
                dataset=dict(type="Digits", split="train", pipeline=pipeline),
                sampler=dict(type="DefaultSampler", shuffle=True),
                **loader,
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9)),
            test_dataloader=dict(
                dataset=dict(type="Digits", split="validation", pipeline=pipeline),
                sampler=dict(type="DefaultSampler", shuffle=False),
                **loader,
            ),
            test_cfg=dict(),
            test_evaluator=dict(type="ScoreAccuracy"),
            randomness=dict(seed=0),
            env_cfg=dict(torch_num_threads=1),
            tta_model=dict(type="MeanOfScores"),
            tta_pipeline=[dict(type="ShiftedViews")],
        )
    )


def main() -> None:
    """Train for two epochs, and print the accuracy without and with augmentation."""
    config = make_config()
    runner = Runner.from_cfg(config)
    runner.train()
    plain = runner.test()["accuracy"]

    config.load_from = f"{config.work_dir}/epoch_2.pth"
    augmented = Runner.from_cfg(tta_config(config)).test()["accuracy"]

    print(f"accuracy: {plain:.4f}")
    print(f"accuracy with test-time augmentation: {augmented:.4f}")


if __name__ == "__main__":
    main()
