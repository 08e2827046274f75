"""PixelData and LabelData."""

from typing import Any

import numpy as np
import pytest
import torch

from engine_structures import LabelData, PixelData


def make() -> PixelData:
    return PixelData(
        metainfo={"img_id": 1},
        image=np.arange(4 * 20 * 40).reshape(4, 20, 40),
        features=torch.arange(10 * 20 * 40).reshape(10, 20, 40),
    )


@pytest.mark.parametrize(
    ("index", "rows", "columns"),
    [
        ((slice(10, 20), slice(20, 40)), slice(10, 20), slice(20, 40)),
        ((10, 20), slice(10, 11), slice(20, 21)),
        ((-1, np.int64(0)), slice(19, 20), slice(0, 1)),
        ((slice(None, None, 2), 5), slice(None, None, 2), slice(5, 6)),
    ],
    ids=["slices", "point", "negative", "step"],
)
def test_index_crops_all_maps_in_the_same_way(index: Any, rows: slice, columns: slice) -> None:
    data = make()

    cut = data[index]

    assert np.array_equal(cut.image, data.image[:, rows, columns])
    assert torch.equal(cut.features, data.features[:, rows, columns])
    assert cut.shape == tuple(data.image[0, rows, columns].shape)
    assert cut.img_id == 1


def test_shape_is_height_and_width() -> None:
    assert make().shape == (20, 40)
    assert PixelData().shape is None


def test_map_of_two_dimensions_gets_a_channel() -> None:
    data = make()

    data.mask = torch.zeros(20, 40)
    data.depth = np.zeros((20, 40))

    assert data.mask.shape == data.depth.shape == (1, 20, 40)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (torch.zeros(1, 3, 20, 40), ValueError, r"\(H, W\) or \(C, H, W\), got \(1, 3,"),
        (torch.zeros(3, 20, 41), ValueError, r"the other maps, \(20, 40\), got \(20, 41\)"),
        ([[1]], TypeError, "a tensor or an array, got list"),
    ],
    ids=["dimensions", "size", "type"],
)
def test_map_of_another_shape_or_type_raises(
    value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make().mask = value
    with pytest.raises(AssertionError):
        make().mask = value


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (3, TypeError),
        ((1, 2, 3), TypeError),
        ((1.5, 2), TypeError),
        ((True, 2), TypeError),
        ((20, 0), IndexError),
        ((0, -41), IndexError),
    ],
    ids=["int", "three", "float", "bool", "row", "column"],
)
def test_wrong_pixel_index_raises(index: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()[index]


def test_shape_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError):
        make().shape = (1, 2)  # type: ignore[misc]  # the mistake


@pytest.mark.parametrize(
    ("label", "onehot"),
    [([0, 2], [1, 0, 1, 0]), ([3], [0, 0, 0, 1]), ([], [0, 0, 0, 0])],
    ids=["two", "one", "none"],
)
def test_labels_and_onehot_convert_into_each_other(label: list[int], onehot: list[int]) -> None:
    indices = torch.tensor(label, dtype=torch.int64)

    vector = LabelData.label_to_onehot(indices, 4)

    assert vector.tolist() == onehot
    assert vector.dtype == torch.int64
    assert LabelData.onehot_to_label(vector).tolist() == label


def test_scalar_label_converts() -> None:
    assert LabelData.label_to_onehot(torch.tensor(1), 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: LabelData.label_to_onehot(torch.tensor([4]), 4),
            ValueError,
            "classes from 0 to 3, got",
        ),
        (lambda: LabelData.label_to_onehot(torch.tensor([-1]), 4), ValueError, "classes from 0"),
        (lambda: LabelData.label_to_onehot(torch.zeros(1), 4), TypeError, "class indices"),
        (
            lambda: LabelData.label_to_onehot(torch.zeros(1, 1, dtype=torch.long), 4),
            ValueError,
            r"shape \(n,\)",
        ),
        (lambda: LabelData.onehot_to_label(torch.tensor([0, 2])), ValueError, "zeros and ones"),
        (lambda: LabelData.onehot_to_label(torch.zeros(1, 2)), ValueError, "num_classes"),
        (lambda: LabelData.onehot_to_label([0, 1]), TypeError, "must be a tensor, got list"),  # type: ignore[arg-type]  # the mistake
    ],
    ids=["large", "negative", "float", "matrix", "values", "shape", "list"],
)
def test_wrong_labels_raise(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
