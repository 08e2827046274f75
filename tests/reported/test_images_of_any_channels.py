"""Images of any number of channels are normalized, by one value or one per channel."""

import pytest
import torch
from torch import Tensor

from engine_model import ImgDataPreprocessor


def first_pixel(preprocess: ImgDataPreprocessor, *images: Tensor) -> list[float]:
    """Return the channels of the first pixel of the first image."""
    batch: Tensor = preprocess({"inputs": list(images)})["inputs"]
    return batch[0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [7.0, 6.0, 5.0, 4.0]),
        ([4.0], [1.0, 2.0, 4.0, 8.0], [4.0, 2.0, 1.0, 0.5]),
        ([2.0, 4.0, 6.0, 8.0], [2.0], [3.0, 2.0, 1.0, 0.0]),
        ([4.0], [2.0], [2.0] * 4),
    ],
    ids=["a value for each", "one mean", "one std", "one value"],
)
@pytest.mark.parametrize("sizes", [(2, 2), (2, 3)], ids=["equal sizes", "other sizes"])
def test_four_bands_are_normalized(
    mean: list[float], std: list[float], expected: list[float], sizes: tuple[int, int]
) -> None:
    images = [torch.full((4, 2, width), 8, dtype=torch.uint8) for width in sizes]
    assert first_pixel(ImgDataPreprocessor(mean, std), *images) == expected


@pytest.mark.parametrize(("mean", "std"), [([0.0], [1.0, 2.0, 3.0]), ([0.0] * 3, [1.0])])
def test_another_number_of_channels_raises(mean: list[float], std: list[float]) -> None:
    with pytest.raises(ValueError, match=r"one per channel of the images \(5\), got 3"):
        ImgDataPreprocessor(mean, std)({"inputs": [torch.zeros(5, 2, 2)]})


def test_conversion_of_colors_raises_for_more_than_three_channels() -> None:
    preprocess = ImgDataPreprocessor(bgr_to_rgb=True)
    assert first_pixel(preprocess, torch.ones(1, 2, 2)) == [1.0]
    with pytest.raises(ValueError, match="must be False for images of 4 channels"):
        preprocess({"inputs": [torch.zeros(4, 2, 2)]})
