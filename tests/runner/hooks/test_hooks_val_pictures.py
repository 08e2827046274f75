"""`NaiveVisualizationHook` in validations, and small images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Runner
from engine_runner.hooks import NaiveVisualizationHook
from engine_structures import BaseDataElement, InstanceData

Pictures = dict[str, np.ndarray[Any, Any]]


class Boxes(BaseModel):
    """Predict the same box for each image."""

    def __init__(self, *, returns_scores: bool = False) -> None:
        super().__init__({"type": "ImgDataPreprocessor"})
        self.returns_scores = returns_scores
        self.linear = nn.Linear(1, 1)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        if mode == "loss":
            return {"loss": self.linear(inputs.float().mean()[None, None]).sum()}
        if mode == "predict" and self.returns_scores:
            return list(torch.zeros(len(inputs)))
        box = torch.tensor([[2.0, 2, 6, 6]])
        return [BaseDataElement(pred_instances=InstanceData(bboxes=box)) for _ in inputs]


class Total(BaseMetric):
    """The number of predictions."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"total": float(len(results))}


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Pictures]:
    """Return a function that trains two epochs with the hook, and returns what it has recorded."""

    def run(*, returns_scores: bool = False, **hook: Any) -> Pictures:
        samples = [
            {"inputs": torch.zeros(3, 8, 8, dtype=torch.uint8), "data_samples": BaseDataElement()}
            for _ in range(3)
        ]
        loader = {
            "dataset": samples,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "batch_size": 2,
        }
        runner = Runner(
            Boxes(returns_scores=returns_scores),
            str(tmp_path / "work"),
            train_dataloader=loader,
            train_cfg={"by_epoch": True, "max_epochs": 2},
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
            val_dataloader=loader,
            val_cfg={},
            val_evaluator=Total(),
            custom_hooks=[{"type": "NaiveVisualizationHook", **hook}],
            visualizer={"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
        )
        runner.train()
        runner.visualizer.close()
        files = sorted(Path(runner.work_dir).rglob("vis_image/*.png"))
        return {path.stem: np.asarray(Image.open(path)) for path in files}

    return run


def test_validation_records_its_first_images_at_the_iteration(
    train: Callable[..., Pictures],
) -> None:
    recorded = train(stages=["val"], most_val_images=2)

    assert sorted(recorded) == ["val_image_0_2", "val_image_0_4", "val_image_1_2", "val_image_1_4"]


def test_validation_with_an_interval_records_the_first_images_that_are_drawn(
    train: Callable[..., Pictures],
) -> None:
    recorded = train(stages=["val"], interval=2, most_val_images=2)

    # The second batch has one image, the third of the validation.
    assert sorted(recorded) == ["val_image_0_2", "val_image_0_4"]


def test_predictions_that_are_no_data_elements_are_logged_once(
    train: Callable[..., Pictures], capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = train(returns_scores=True, stages=["val"])

    assert len(recorded) == 6
    assert capsys.readouterr().out.count("draws no predictions") == 1


def test_small_images_are_enlarged_before_boxes_are_drawn(train: Callable[..., Pictures]) -> None:
    image = train(stages=["val"], most_val_images=1)["val_image_0_2"]

    rows, columns = np.nonzero(image.any(axis=2))
    assert image.shape == (256, 256, 3)
    assert (rows.min(), columns.max()) == pytest.approx((64, 192), abs=2)


def test_validation_is_not_drawn_by_default(train: Callable[..., Pictures]) -> None:
    assert train() == {}


def test_hook_acts_at_the_points_of_its_stages() -> None:
    hook = NaiveVisualizationHook(stages=("val",))

    assert hook.get_triggered_stages() == ["before_train", "before_val_epoch", "after_val_iter"]


def test_point_of_a_subclass_acts_without_its_stage() -> None:
    class Both(NaiveVisualizationHook):
        def after_val_iter(self, *args: Any, **kwargs: Any) -> None:
            """Draw nothing."""

    assert "after_val_iter" in Both().get_triggered_stages()


@pytest.mark.parametrize("stages", [(), "val", ("train",)], ids=["none", "text", "train"])
def test_wrong_stages_raise(stages: Any) -> None:
    with pytest.raises(ValueError, match="stages must be among"):
        NaiveVisualizationHook(stages=stages)
