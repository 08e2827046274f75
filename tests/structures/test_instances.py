"""InstanceData: equal lengths, every kind of index, joining."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from engine_structures import BaseDataElement, InstanceData


class Polygons:
    """A user class with a length, items and ``cat``."""

    def __init__(self, corners: list[list[int]]) -> None:
        self.corners = corners

    def __len__(self) -> int:
        return len(self.corners)

    def __getitem__(self, item: int | slice) -> "Polygons":
        return Polygons(self.corners[item] if isinstance(item, slice) else [self.corners[item]])

    @staticmethod
    def cat(parts: "list[Polygons]") -> "Polygons":
        return Polygons(list(itertools.chain(*(part.corners for part in parts))))


def make() -> InstanceData:
    return InstanceData(
        metainfo={"img_shape": (8, 6)},
        boxes=torch.arange(16.0).reshape(4, 4),
        scores=np.array([0.1, 0.9, 0.5, 0.7]),
        names=["a", "b", "c", "d"],
        letters="abcd",
        pairs=((0, 1), (1, 2), (2, 3), (3, 4)),
        polygons=Polygons([[1], [2], [3], [4]]),
        parts=InstanceData(ids=torch.arange(4)),
    )


def assert_holds(element: InstanceData, positions: list[int]) -> None:
    whole = make()
    assert len(element) == len(positions)
    assert element.metainfo == {"img_shape": (8, 6)}
    assert torch.equal(element.boxes, whole.boxes[positions])
    assert np.array_equal(element.scores, whole.scores[positions])
    assert element.names == [whole.names[at] for at in positions]
    assert element.letters == "".join(whole.letters[at] for at in positions)
    assert element.pairs == tuple(whole.pairs[at] for at in positions)
    assert element.polygons.corners == [whole.polygons.corners[at] for at in positions]
    assert element.parts.ids.tolist() == positions


@pytest.mark.parametrize(
    ("index", "positions"),
    [
        (1, [1]),
        (-1, [3]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (slice(2, None, -2), [2, 0]),
        (np.int64(2), [2]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        (slice(3, 3), []),
        (torch.tensor([True, False, True, False]), [0, 2]),
        (torch.zeros(4, dtype=torch.bool), []),
        (np.array([False, True, False, True]), [1, 3]),
        ([True, False, False, True], [0, 3]),
        (torch.tensor([3, 0, 0]), [3, 0, 0]),
        (torch.tensor([2, -1], dtype=torch.int32), [2, 3]),
        (np.array([3, 1]), [3, 1]),
        ([2, 1], [2, 1]),
        ([], []),
    ],
    ids=[
        *(
            "int",
            "negative",
            "reversed",
            "step-back",
            "numpy-int",
            "slice",
            "step",
            "empty-slice",
            "mask",
            "empty-mask",
        ),
        *("array-mask", "list-mask", "positions", "int32", "array", "list", "empty-list"),
    ],
)
def test_index_selects_the_same_instances_of_every_field(index: Any, positions: list[int]) -> None:
    assert_holds(make()[index], positions)


def test_index_of_names_selects_fields() -> None:
    element = make()

    chosen = element[["names", "boxes"]]

    assert element["names"] is element.names
    assert element["img_shape"] == (8, 6)
    assert chosen.keys() == ["names", "boxes"]
    assert chosen.metainfo == {"img_shape": (8, 6)}


def test_items_can_be_assigned_by_name() -> None:
    element = make()

    element["labels"] = torch.zeros(4)

    assert element.labels.shape == (4,)


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (4, IndexError, "index 4 is out of range for 4 instances"),
        (-5, IndexError, "index -5 is out of range"),
        (torch.tensor([4]), IndexError, "a position is out of range for 4 instances"),
        ([0, -5], IndexError, "a position is out of range for 4 instances"),
        (torch.ones(3, dtype=torch.bool), IndexError, "a mask must have length 4, got 3"),
        (torch.ones(2, 2, dtype=torch.bool), IndexError, "one dimension, got shape"),
        (torch.ones(2), TypeError, "float32"),
        (torch.ones(4, dtype=torch.uint8), TypeError, "uint8"),
        (1.5, TypeError, "got float"),
        (True, TypeError, "got bool"),
        (None, TypeError, "got NoneType"),
        ("mask", KeyError, "no field 'mask'; there are img_shape"),
        (["names", "mask"], KeyError, "no field 'mask'; there are img_shape"),
        (["img_shape"], KeyError, "is meta information, which every selection keeps"),
    ],
    ids=lambda value: None,
)
def test_wrong_index_raises(index: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()[index]


@pytest.mark.parametrize(
    "values", [["a", "b", "c"], np.arange(3), torch.arange(3)], ids=["list", "array", "tensor"]
)
@pytest.mark.parametrize("position", [-4, -5, 3])
def test_position_outside_raises_for_every_kind_of_field(values: Any, position: int) -> None:
    found = InstanceData(field=values)

    with pytest.raises(IndexError, match="a position is out of range for 3 instances"):
        found[torch.tensor([position])]


def test_field_of_another_length_raises() -> None:
    element = make()

    with pytest.raises(
        ValueError, match=r"labels must have .* got length 3 for 4 .* \(from boxes\)"
    ):
        element.labels = torch.zeros(3)
    with pytest.raises(AssertionError):
        element.names = ["a"]
    with pytest.raises(TypeError, match="count must have a length"):
        element.count = 3
    with pytest.raises(TypeError, match="score must have a length"):
        element.score = torch.tensor(1.0)
    with pytest.raises(TypeError, match="an assignment must name a field, got"):
        element[0] = 1  # type: ignore[index]  # the mistake


def test_single_field_may_change_its_length() -> None:
    element = InstanceData(boxes=torch.zeros(0, 4))

    element.boxes = torch.zeros(2, 4)

    assert len(element) == 2
    assert len(InstanceData()) == 0


def test_cat_joins_every_kind_of_value() -> None:
    element = make()

    joined = InstanceData.cat([element, element[1], element[:0]])

    assert_holds(joined, [0, 1, 2, 3, 1])


def test_cat_of_one_returns_it() -> None:
    element = make()

    assert InstanceData.cat([element]) is element


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ([], ValueError, "at least one"),
        ([InstanceData(a=[1]), InstanceData(b=[1])], ValueError, r"\['a'\] and \['b'\]"),
        ([InstanceData(), BaseDataElement()], TypeError, "got BaseDataElement"),
        ([InstanceData(a={1: 2}), InstanceData(a={1: 2})], TypeError, "dict has no static method"),
        (
            [InstanceData(a=torch.zeros(1, 3)), InstanceData(a=torch.zeros(2, 4))],
            ValueError,
            r"a cannot be joined from Tensor \(1, 3\), Tensor \(2, 4\): Sizes of tensors",
        ),
        (
            [InstanceData(a=torch.zeros(1)), InstanceData(a=[1])],
            TypeError,
            r"a cannot be joined from Tensor \(1,\), list",
        ),
    ],
    ids=["none", "keys", "type", "value", "shapes", "kinds"],
)
def test_cat_of_elements_with_other_fields_raises(
    parts: list[Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        InstanceData.cat(parts)


def test_index_keeps_the_graph_and_the_type() -> None:
    class Detections(InstanceData):
        boxes: torch.Tensor

    weight = torch.ones(3, 4, requires_grad=True)
    found = Detections(boxes=weight * 2)

    found[torch.tensor([True, False, True])].boxes.sum().backward()

    assert type(found[0]) is Detections
    assert weight.grad is not None
    assert weight.grad[:, 0].tolist() == [2, 0, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_index_and_values_may_be_on_different_devices(where: str) -> None:
    element = InstanceData(a=torch.arange(3).cuda(), b=torch.arange(3), c=np.arange(3))

    picked = element[torch.tensor([True, False, True], device=where)]

    assert picked.a.is_cuda
    assert picked.a.tolist() == picked.b.tolist() == picked.c.tolist() == [0, 2]
