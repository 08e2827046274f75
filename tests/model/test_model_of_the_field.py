"""Models and data preprocessors as libraries write them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine_model import BaseModel, BaseModule, ImgDataPreprocessor, stack_batch
from engine_registry import MODELS
from engine_structures import BaseDataElement, InstanceData


class SamplePreprocessor(ImgDataPreprocessor):
    """Calls `super().forward` by keyword, and notes the shapes in the samples."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        shapes = [
            tuple(math.ceil(s / self.pad_size_divisor) * self.pad_size_divisor for s in i.shape[1:])
            for i in data["inputs"]
        ]
        data = super().forward(data=data, training=training)
        inputs, data_samples = data["inputs"], data["data_samples"]
        for sample, shape in zip(data_samples, shapes, strict=True):
            sample.set_metainfo(
                {"batch_input_shape": tuple(inputs[0].size()[-2:]), "pad_shape": shape}
            )
        return {"inputs": inputs, "data_samples": data_samples}


class WholePreprocessor(ImgDataPreprocessor):
    """Replaces `forward`, and uses the documented attributes."""

    def forward(self, data: Any, training: bool = False) -> Any:
        inputs = self.cast_data(data["inputs"])
        if isinstance(inputs, Tensor):
            if self._channel_conversion:
                inputs = inputs[:, [2, 1, 0], ...]
            inputs = inputs.float()
            if self._enable_normalize:
                inputs = (inputs - self.mean) / self.std
            divisor = self.pad_size_divisor
            below, right = (math.ceil(s / divisor) * divisor - s for s in inputs.shape[2:])
            inputs = functional.pad(inputs, (0, right, 0, below), "constant", self.pad_value)
        else:
            images = [(image.float() - self.mean) / self.std for image in inputs]
            inputs = stack_batch(images, self.pad_size_divisor, self.pad_value)
        return {"inputs": inputs}


class Backbone(BaseModule):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.conv(x),)


HEAD = [
    {
        "type": "Xavier",
        "layer": "Conv2d",
        "override": {"type": "Normal", "name": "cls", "std": 0.01, "bias_prob": 0.01},
    },
    {"type": "Constant", "layer": ["BatchNorm2d"], "val": 2},
]


class Head(BaseModule):
    def __init__(self, init_cfg: Any = HEAD) -> None:
        super().__init__(init_cfg)
        self.norm = nn.BatchNorm2d(4)
        self.reg, self.cls = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def loss(self, features: tuple[Tensor, ...]) -> dict[str, Any]:
        x = self.norm(features[0])
        scores, boxes = self.cls(x), self.reg(x)
        return {
            "loss_cls": [scores.square().mean(), scores.abs()],
            "loss_bbox": boxes.square(),
            "acc": torch.tensor([0.25, 0.75]),
        }


class Detector(BaseModel):
    def __init__(
        self, backbone: Any, head: Any, data_preprocessor: Any = None, init_cfg: Any = None
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.bbox_head = MODELS.build(head)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        features = self.backbone(inputs)
        if mode == "loss":
            return self.bbox_head.loss(features)
        for sample in data_samples:
            sample.pred_instances = InstanceData(scores=torch.ones(2))
        return data_samples


@pytest.fixture(autouse=True)
def registered() -> None:
    for kind in (SamplePreprocessor, WholePreprocessor, Backbone, Head, Detector):
        MODELS.register_module(module=kind, force=True)


def batch() -> dict[str, Any]:
    images = [torch.full((3, 20, 24), 9, dtype=torch.uint8), torch.zeros(3, 16, 30).byte()]
    return {"inputs": images, "data_samples": [BaseDataElement(metainfo={"id": i}) for i in (0, 1)]}


def test_preprocessor_that_extends_forward_leaves_the_dataset_alone() -> None:
    preprocess = SamplePreprocessor([1.0, 2, 3], [1.0, 1, 1], pad_size_divisor=16, bgr_to_rgb=True)
    data = batch()
    out = preprocess(data, True)
    assert out["inputs"].shape == (2, 3, 32, 32)
    assert out["inputs"][0, :, 0, 0].tolist() == [8, 7, 6]
    assert [sample.pad_shape for sample in out["data_samples"]] == [(32, 32), (16, 32)]
    assert data["data_samples"][0].metainfo_keys() == ["id"]


@pytest.mark.parametrize("stacked", [True, False], ids=["tensor", "list"])
def test_preprocessor_that_replaces_forward_has_its_attributes(stacked: bool) -> None:
    images: Any = torch.full((2, 3, 30, 20), 9.0)
    own = WholePreprocessor([1.0, 2, 3], [2.0, 2, 2], 16, 5, bgr_to_rgb=True)
    plain = ImgDataPreprocessor([1.0, 2, 3], [2.0, 2, 2], 16, 5, bgr_to_rgb=True)
    images = images if stacked else list(images)
    assert torch.equal(own({"inputs": images})["inputs"], plain({"inputs": images})["inputs"])


@pytest.mark.parametrize(
    ("mean", "std", "channels"),
    [([1.0], [1.0, 2, 3], 3), ([1.0, 2, 3], [2.0], 3), ([1.0] * 5, [2.0] * 5, 5)],
    ids=["one mean", "one std", "five channels"],
)
def test_statistics_broadcast_to_the_channels(
    mean: list[float], std: list[float], channels: int
) -> None:
    images = torch.full((1, channels, 2, 2), 9.0)
    out = ImgDataPreprocessor(mean, std)({"inputs": images})["inputs"]
    shifted = images - torch.tensor(mean).view(-1, 1, 1)
    torch.testing.assert_close(out, shifted / torch.tensor(std).view(-1, 1, 1))


def test_detector_of_configs_is_initialized_trained_and_tested(tmp_path: Path) -> None:
    weights = {"backbone.conv.weight": torch.ones(4, 3, 3, 3), "backbone.conv.bias": torch.ones(4)}
    torch.save({"state_dict": weights}, tmp_path / "a.pth")
    pretrained = {
        "type": "Pretrained",
        "checkpoint": str(tmp_path / "a.pth"),
        "prefix": "backbone.",
    }
    model = MODELS.build(
        {
            "type": "Detector",
            "data_preprocessor": {"type": "SamplePreprocessor", "pad_size_divisor": 16},
            "backbone": {"type": "Backbone", "init_cfg": pretrained},
            "head": {"type": "Head"},
        }
    )
    model.init_weights()
    assert (model.backbone.conv.weight == 1).all()
    assert model.bbox_head.cls.bias.tolist() == pytest.approx([-math.log(99)] * 2)
    assert model.bbox_head.cls.weight.std() < 0.05
    assert model.bbox_head.norm.weight.tolist() == [2.0] * 4

    inputs = model.data_preprocessor(batch(), True)
    loss, log_vars = model.parse_losses(model._run_forward(inputs, mode="loss"))
    assert list(log_vars) == ["loss", "loss_cls", "loss_bbox", "acc"]
    torch.testing.assert_close(loss, log_vars["loss_cls"] + log_vars["loss_bbox"])
    assert log_vars["acc"].item() == 0.5

    data = batch()
    found = model.test_step(data)
    assert found[0].pred_instances.scores.tolist() == [1, 1]
    assert "pred_instances" not in data["data_samples"][0]
