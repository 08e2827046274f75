"""Layers, grids, tracing, and tensors converted to images."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine_utils.dl_utils import (
    has_batch_norm,
    is_jit_tracing,
    is_norm,
    tensor2imgs,
    torch_meshgrid,
)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm2d(2))), True),
        (nn.SyncBatchNorm(2), True),
        (nn.Sequential(nn.LayerNorm(2), nn.GroupNorm(1, 2)), False),
    ],
    ids=["nested", "sync", "others"],
)
def test_batch_norm_is_found(model: nn.Module, expected: bool) -> None:
    assert has_batch_norm(model) is expected


@pytest.mark.parametrize(
    ("layer", "exclude", "expected"),
    [
        (nn.BatchNorm1d(2), None, True),
        (nn.InstanceNorm2d(2), None, True),
        (nn.GroupNorm(1, 2), None, True),
        (nn.LayerNorm(2), None, True),
        (nn.RMSNorm(2), None, True),
        (nn.Linear(2, 2), None, False),
        (nn.LayerNorm(2), nn.LayerNorm, False),
        (nn.GroupNorm(1, 2), (nn.LayerNorm, nn.GroupNorm), False),
        (nn.BatchNorm2d(2), (nn.LayerNorm,), True),
    ],
    ids=["batch", "instance", "group", "layer", "rms", "linear", "excluded", "tuple", "kept"],
)
def test_norm_layers_are_found(layer: nn.Module, exclude: Any, expected: bool) -> None:
    assert is_norm(layer, exclude) is expected


def test_norm_that_excludes_a_string_raises() -> None:
    with pytest.raises(TypeError, match="a class or a tuple of classes"):
        is_norm(nn.LayerNorm(2), exclude="LayerNorm")  # type: ignore[arg-type]  # the mistake


def test_meshgrid_indexes_like_a_matrix() -> None:
    axes = (torch.arange(2), torch.arange(3), torch.tensor(5))

    grids = torch_meshgrid(*axes)

    expected = np.meshgrid(np.arange(2), np.arange(3), np.array([5]), indexing="ij")
    assert [grid.tolist() for grid in grids] == [grid.tolist() for grid in expected]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_tracing_is_detected() -> None:
    seen = []

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(is_jit_tracing())
            return x + 1

    torch.jit.trace(Model(), torch.zeros(1), check_trace=False)  # type: ignore[no-untyped-call]  # torch's

    assert seen[0] is True
    assert is_jit_tracing() is False


@pytest.mark.parametrize("to_bgr", [True, False], ids=["bgr", "rgb"])
def test_images_are_denormalized(to_bgr: bool) -> None:
    mean, std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
    original = torch.randint(0, 256, (2, 3, 4, 5)).float()
    shape = (1, 3, 1, 1)
    normalized = (original - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)

    images = tensor2imgs(normalized, mean, std, to_bgr)

    assert len(images) == 2
    for image, want in zip(images, original, strict=True):
        pixels = want.permute(1, 2, 0).numpy().astype(np.uint8)
        assert image.dtype == np.uint8
        assert np.array_equal(image, pixels[..., ::-1] if to_bgr else pixels)


def test_gray_images_have_two_dimensions_and_limits() -> None:
    images = tensor2imgs(torch.tensor([[[[-7.0, 300.0, 1.6]]]]), to_bgr=False)

    assert images[0].tolist() == [[0, 255, 2]]


@pytest.mark.parametrize(
    ("tensor", "arguments", "error", "message"),
    [
        (np.zeros((1, 3, 2, 2)), {}, TypeError, "got ndarray"),
        (torch.zeros(3, 2, 2), {}, ValueError, r"got \(3, 2, 2\)"),
        (torch.zeros(1, 2, 2, 2), {}, ValueError, "1 or 3 channels"),
        (torch.zeros(1, 1, 2, 2), {}, ValueError, "to_bgr must be False"),
        (torch.zeros(1, 3, 2, 2), {"mean": (1,)}, ValueError, "mean must have 3 values, .* got 1"),
        (torch.zeros(1, 3, 2, 2), {"std": (1, 2)}, ValueError, "std must have 3 values, .* got 2"),
    ],
    ids=["array", "dimensions", "channels", "gray", "mean", "std"],
)
def test_wrong_images_raise(
    tensor: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tensor2imgs(tensor, **arguments)
