"""pseudo_collate and default_collate."""

from collections import namedtuple
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate as torch_default_collate

from engine_dataset import COLLATE_FUNCTIONS, default_collate, pseudo_collate
from engine_structures import BaseDataElement, LabelData

Point = namedtuple("Point", ["x", "y"])


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([1, 2], [1, 2]),
        (["a", "b"], ["a", "b"]),
        ([b"a"], [b"a"]),
        ([None, None], [None, None]),
        (
            [{"a": 1, "b": {"c": "x"}}, {"a": 2, "b": {"c": "y"}}],
            {"a": [1, 2], "b": {"c": ["x", "y"]}},
        ),
        ([("i", 0), ("j", 1)], [["i", "j"], [0, 1]]),
        ([[1, 2, 3]], [[1], [2], [3]]),
        ([Point(1, 2), Point(3, 4)], Point([1, 3], [2, 4])),
        ([MappingProxyType({"a": 1})], MappingProxyType({"a": [1]})),
        ([range(2), range(2)], [[0, 0], [1, 1]]),
    ],
    ids=["int", "str", "bytes", "none", "dict", "tuple", "list", "namedtuple", "mapping", "range"],
)
def test_pseudo_collate_groups_by_field(batch: list[Any], expected: Any) -> None:
    found = pseudo_collate(batch)
    assert found == expected
    assert type(found) is type(expected)


def test_pseudo_collate_keeps_leaves_as_they_are() -> None:
    tensors = [torch.zeros(2), torch.ones(3)]
    elements = [LabelData(item=torch.tensor(1)), BaseDataElement()]
    array = np.zeros(2)
    batch = [
        {"x": one, "e": element, "n": array} for one, element in zip(tensors, elements, strict=True)
    ]
    found = pseudo_collate(batch)
    assert all(one is other for one, other in zip(found["x"], tensors, strict=True))
    assert all(one is other for one, other in zip(found["e"], elements, strict=True))
    assert found["n"][0] is array


def test_pseudo_collate_raises_for_sequences_of_different_length() -> None:
    with pytest.raises(RuntimeError, match=r"lengths \[1, 2\]"):
        pseudo_collate([{"boxes": [1]}, {"boxes": [1, 2]}])


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2],
        [1.5, 2.5],
        ["a", "b"],
        [{"a": torch.zeros(2), "b": 1}, {"a": torch.ones(2), "b": 2}],
        [(torch.zeros(2), 0), (torch.ones(2), 1)],
        [np.zeros(2, np.float32), np.ones(2, np.float32)],
        [Point(1, 2.0), Point(3, 4.0)],
        [[1, 2], [3, 4]],
    ],
    ids=["int", "float", "str", "dict", "tuple", "array", "namedtuple", "list"],
)
def test_default_collate_equals_torch(batch: list[Any]) -> None:
    assert str(default_collate(batch)) == str(torch_default_collate(batch))


def test_default_collate_keeps_data_elements() -> None:
    elements = [LabelData(item=torch.tensor(1)), BaseDataElement()]
    found = default_collate([{"x": 1, "e": element} for element in elements])
    assert found["x"].tolist() == [1, 1]
    assert isinstance(found["e"], list)
    assert all(one is other for one, other in zip(found["e"], elements, strict=True))


def test_default_collate_raises_for_none() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        default_collate([None])


@pytest.mark.parametrize(
    "function", [pseudo_collate, default_collate], ids=lambda one: one.__name__
)
def test_collate_functions_are_found_by_name(function: Any) -> None:
    assert COLLATE_FUNCTIONS.get(function.__name__) is function
