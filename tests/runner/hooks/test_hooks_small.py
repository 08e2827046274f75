"""`SyncBuffersHook`, `EmptyCacheHook` and `NaiveVisualizationHook`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from engine_evaluator import BaseMetric
from engine_model import BaseModel, BaseTTAModel
from engine_runner import Runner
from engine_runner.hooks import EmptyCacheHook, NaiveVisualizationHook
from engine_structures import BaseDataElement, LabelData

Make = Callable[..., Runner]


@pytest.mark.parametrize(
    ("arguments", "points"),
    [
        ({}, ["after_train_epoch", "after_val_epoch", "after_test_epoch"]),
        (
            {"before_epoch": True, "after_epoch": False},
            ["before_train_epoch", "before_val_epoch", "before_test_epoch"],
        ),
        (
            {"after_iter": True, "after_epoch": False},
            ["after_train_iter", "after_val_iter", "after_test_iter"],
        ),
    ],
    ids=["default", "before-epoch", "after-iter"],
)
def test_empty_cache_acts_at_the_chosen_points(
    arguments: dict[str, bool], points: list[str]
) -> None:
    assert EmptyCacheHook(**arguments).get_triggered_stages() == points


def test_empty_cache_that_never_acts_raises() -> None:
    with pytest.raises(ValueError, match="one of before_epoch, after_epoch and after_iter"):
        EmptyCacheHook(after_epoch=False)


def test_empty_cache_and_sync_buffers_are_harmless_on_one_cpu(make_runner: Make) -> None:
    every = {"type": "EmptyCacheHook", "before_epoch": True, "after_iter": True}
    runner = make_runner(custom_hooks=[every, {"type": "SyncBuffersHook"}])
    runner.train()

    assert runner.iter == 12


def test_buffers_are_equal_on_all_ranks_after_an_epoch(
    rank_results: dict[str, list[dict[str, Any]]],
) -> None:
    for rank in rank_results["ema_cases.py"]:
        assert rank["sync"]["before"] == pytest.approx([-0.17, 0.02])
        assert rank["sync"]["after"] == pytest.approx([-0.075, -0.075])


class Labels(BaseModel):
    """Return the data elements of the batch, with a predicted label."""

    def __init__(self, **preprocessor: Any) -> None:
        super().__init__({"type": "ImgDataPreprocessor", **preprocessor})
        self.linear = nn.Linear(1, 1)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        if mode == "loss":
            return {"loss": self.linear(inputs.mean()[None, None]).sum()}
        return [BaseDataElement(pred_label=LabelData(label=torch.tensor([1]))) for _ in inputs]


class Count(BaseMetric):
    """The number of predictions."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"count": float(len(results))}


def _pictures(*images: Tensor, **meta: Any) -> dict[str, Any]:
    """Return the config of a loader of images with labels, two per batch."""
    samples = [
        {
            "inputs": image,
            "data_samples": BaseDataElement(
                metainfo=meta, gt_label=LabelData(label=torch.tensor([0]))
            ),
        }
        for image in images
    ]
    return {
        "dataset": samples,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "batch_size": 2,
    }


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., dict[str, np.ndarray[Any, Any]]]:
    """Return a function that tests a model with the hook, and returns what it has recorded."""

    def run(
        loader: dict[str, Any], model: Any = None, **hook: Any
    ) -> dict[str, np.ndarray[Any, Any]]:
        runner = Runner(
            Labels() if model is None else model,
            str(tmp_path / "work"),
            test_dataloader=loader,
            test_cfg={},
            test_evaluator=Count(),
            custom_hooks=[{"type": "NaiveVisualizationHook", **hook}],
            visualizer={
                "type": "Visualizer",
                "vis_backends": [{"type": "LocalVisBackend"}],
                "sample_options": {"enlarge_to": None},
            },
        )
        runner.test()
        runner.visualizer.close()
        files = sorted(Path(runner.work_dir).rglob("*.png"))
        return {path.stem: np.asarray(Image.open(path)) for path in files}

    return run


Draw = Callable[..., dict[str, np.ndarray[Any, Any]]]
PLAIN = {"draw_gt": False, "draw_pred": False}


def _image(*color: int, size: tuple[int, int] = (40, 60)) -> Tensor:
    return torch.tensor(color, dtype=torch.uint8)[:, None, None].expand(3, *size).contiguous()


def test_images_of_a_test_are_recorded(draw: Draw) -> None:
    images = [_image(10 * number, 20, 30) for number in range(5)]
    recorded = draw(_pictures(*images), **PLAIN)

    assert list(recorded) == [f"test_image_{number}" for number in range(5)]
    for number, shown in enumerate(recorded.values()):
        assert shown.shape == (40, 60, 3)
        assert shown[5, 5].tolist() == [10 * number, 20, 30]


class FirstView(BaseTTAModel):
    """Return the predictions of the first view."""

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        return [views[0] for views in data_samples_list]


def test_first_view_of_an_augmented_sample_is_drawn(draw: Draw) -> None:
    loader = _pictures(_image(10, 20, 30), _image(40, 50, 60))
    for sample in loader["dataset"]:
        sample["inputs"] = [sample["inputs"], sample["inputs"] + 100]
        sample["data_samples"] = [sample["data_samples"]] * 2
    model = FirstView(Labels(mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=True))
    recorded = draw(loader, model, **PLAIN)

    corners = [shown[5, 5].tolist() for shown in recorded.values()]
    assert corners == [[30, 20, 10], [60, 50, 40]]


def test_every_n_th_batch_is_drawn(draw: Draw) -> None:
    recorded = draw(_pictures(*[_image(1, 2, 3)] * 8), interval=2, **PLAIN)

    assert [int(name.rpartition("_")[2]) for name in recorded] == [2, 3, 6, 7]


@pytest.mark.parametrize(
    ("options", "texts"),
    [({}, 2), ({"draw_gt": False}, 1), ({"draw_pred": False}, 1), (PLAIN, 0)],
    ids=["both", "predictions", "truth", "none"],
)
def test_ground_truth_and_predictions_are_drawn(
    draw: Draw, options: dict[str, bool], texts: int
) -> None:
    [shown] = draw(_pictures(_image(10, 20, 30, size=(80, 120))), **options).values()
    shown = shown.astype(int)

    found = (shown != [10, 20, 30]).any(-1)
    assert found.any() == bool(texts)
    green = (shown[..., 1] > shown[..., 0]) & (shown[..., 1] > shown[..., 2] + 40)
    red = (shown[..., 0] > shown[..., 1] + 60) & (shown[..., 0] > shown[..., 2] + 60)
    assert green.any() == options.get("draw_gt", True)
    assert red.any() == options.get("draw_pred", True)


def test_bgr_images_are_shown_as_rgb(draw: Draw) -> None:
    model = Labels(mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=True)
    [shown] = draw(_pictures(_image(10, 20, 30)), model, **PLAIN).values()

    assert shown[0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.tensor([[[0.0, 0.5, 1.0]]]).expand(3, 1, 3), [0, 128, 255]),
        (torch.tensor([[[-2.0, 0.0, 2.0]]]).expand(3, 1, 3), [0, 128, 255]),
        (torch.tensor([[[0.0, 128.0, 255.0]]]), [0, 128, 255]),
        (torch.tensor([[[0, 128, 255]]], dtype=torch.uint8).expand(5, 1, 3), [0, 128, 255]),
    ],
    ids=["unit-range", "normalized", "gray", "five-bands"],
)
def test_values_of_images_are_scaled(draw: Draw, image: Tensor, expected: list[int]) -> None:
    big = image.repeat_interleave(20, 1).repeat_interleave(20, 2)
    [shown] = draw(_pictures(big), **PLAIN).values()

    assert [shown[10, column].tolist() for column in (10, 30, 50)] == [[v] * 3 for v in expected]


def test_padding_is_removed_and_the_size_restored(draw: Draw) -> None:
    padded = torch.zeros(3, 64, 64, dtype=torch.uint8)
    padded[:, :20, :30] = 200
    loader = _pictures(padded, img_shape=(20, 30), ori_shape=(40, 60))
    [shown] = draw(loader, **PLAIN).values()

    assert shown.shape == (40, 60, 3)
    assert (shown == 200).all()


def test_elements_of_the_dataset_are_not_changed(draw: Draw) -> None:
    loader = _pictures(_image(1, 2, 3))
    draw(loader)

    assert "pred_label" not in loader["dataset"][0]["data_samples"]


def test_batches_without_images_raise(make_runner: Make, settings: Any) -> None:
    given = settings()
    runner = make_runner(
        test_dataloader=given["val_dataloader"],
        test_cfg={},
        test_evaluator=given["val_evaluator"],
        custom_hooks=[NaiveVisualizationHook()],
    )

    with pytest.raises(TypeError, match="needs batches with images"):
        runner.test()
