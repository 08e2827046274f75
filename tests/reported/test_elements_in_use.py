"""Data elements, indexed by what models compute, and moved as libraries move them."""

from typing import Any

import numpy as np
import pytest
import torch

from engine_model import BaseDataPreprocessor
from engine_structures import BaseDataElement, InstanceData, PixelData


def instances() -> InstanceData:
    """Return three instances, of which the second has the best score."""
    data = InstanceData(metainfo={"id": 7})
    data.scores = torch.tensor([0.1, 0.9, 0.2])
    data.boxes = np.arange(12.0).reshape(3, 4)
    data.names = ["a", "b", "c"]
    return data


@pytest.mark.parametrize(
    "index",
    [1, -2, np.int64(1), np.uint8(1), np.array(1), torch.tensor(1), torch.tensor(-2)],
    ids=repr,
)
def test_one_instance_by_any_integer_keeps_the_dimension(index: Any) -> None:
    one = instances()[index]
    assert (len(one), one.names, tuple(one.boxes.shape), one.id) == (1, ["b"], (1, 4), 7)
    assert torch.equal(one.scores, torch.tensor([0.9]))


@pytest.mark.parametrize("index", [torch.tensor(1.0), torch.tensor(True), np.array(True), True])
def test_one_instance_by_another_value_raises(index: Any) -> None:
    with pytest.raises((TypeError, IndexError)):
        instances()[index]


@pytest.mark.parametrize("index", [torch.tensor(3), np.array(-4)])
def test_one_instance_out_of_range_raises(index: Any) -> None:
    with pytest.raises(IndexError, match="out of range for 3 instances"):
        instances()[index]


def test_a_pixel_by_tensors_keeps_its_dimensions() -> None:
    data = PixelData(depth=torch.arange(6.0).reshape(2, 3))
    row, column = torch.tensor(1), np.array(2)
    assert data[row, column].depth.tolist() == [[[5.0]]]
    with pytest.raises(IndexError, match="out of range"):
        data[torch.tensor(2), 0]


@pytest.mark.parametrize("kind", [dict, set], ids=["own names", "names as sets"])
def test_an_element_is_restored_from_its_attributes(kind: type) -> None:
    state = dict(vars(instances()))
    for names in ("_data_fields", "_metainfo_fields"):
        state[names] = kind(state[names])
    restored = object.__new__(InstanceData)
    restored.__dict__ = state
    assert set(restored.keys()) == {"scores", "boxes", "names"}
    assert restored.metainfo == {"id": 7}
    restored.labels = torch.zeros(3)
    assert "labels" in restored
    assert len(restored[0]) == 1


@pytest.mark.parametrize(
    "batch",
    [
        lambda element: {"inputs": torch.zeros(1), "data_samples": [element]},
        lambda element: [element],
        lambda element: (torch.zeros(1), [{"deep": element}]),
        lambda element: element,
    ],
    ids=["dict", "list", "deep", "alone"],
)
def test_a_model_that_changes_elements_does_not_change_the_dataset(batch: Any) -> None:
    own = BaseDataElement(labels=torch.zeros(2))
    cast = BaseDataPreprocessor()(batch(own))
    found = _element(cast)
    assert found is not own
    found.predictions = torch.ones(1)
    assert own.keys() == ["labels"]
    assert found.labels is own.labels  # tensors are not copied


def _element(data: Any) -> Any:
    while not isinstance(data, BaseDataElement):
        data = list(data.values())[-1] if isinstance(data, dict) else data[-1]
    return data
