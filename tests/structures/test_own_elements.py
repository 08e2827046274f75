"""Data elements as libraries write them, also sent between processes by reducers of theirs."""

import copy
import pickle
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from engine_structures import BaseDataElement, InstanceData, PixelData


class DetSample(BaseDataElement):
    @property
    def gt_instances(self) -> InstanceData:
        return self._gt_instances  # type: ignore[no-any-return]

    @gt_instances.setter
    def gt_instances(self, value: InstanceData) -> None:
        self.set_field(value, "_gt_instances", dtype=InstanceData)

    @gt_instances.deleter
    def gt_instances(self) -> None:
        del self._gt_instances

    @property
    def count(self) -> int:
        return len(self.gt_instances)


class Boxes(InstanceData):
    @property
    def boxes(self) -> torch.Tensor:
        return self._boxes  # type: ignore[no-any-return]

    @boxes.setter
    def boxes(self, value: Any) -> None:
        self.set_field(torch.as_tensor(value), "_boxes", dtype=torch.Tensor)


class Maps(PixelData):
    @property
    def mask(self) -> torch.Tensor:
        return self._mask  # type: ignore[no-any-return]

    @mask.setter
    def mask(self, value: Any) -> None:
        self.set_field(torch.as_tensor(value), "_mask")


class Guarded(InstanceData):
    """Its `__setattr__` is that of libraries of points: it checks, and calls the base's."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_metainfo_fields", "_data_fields"):
            raise AttributeError(f"{name} is immutable")
        assert hasattr(value, "__len__")
        super().__setattr__(name, value)


def _sample(number: int = 0) -> DetSample:
    sample = DetSample(metainfo={"img_id": number, "img_shape": (4, 6)})
    sample.gt_instances = Boxes(labels=torch.tensor([number, 1]))
    sample.gt_instances.boxes = torch.full((2, 4), float(number))
    sample.maps = Maps(mask=torch.ones(4, 6))
    return sample


def test_property_of_a_sample_is_a_field() -> None:
    sample = _sample()
    assert (sample.keys(), sample.count) == (["gt_instances", "maps"], 2)
    assert "gt_instances" in sample
    assert sample.get("gt_instances") is sample.gt_instances
    del sample.gt_instances
    assert "gt_instances" not in sample
    with pytest.raises(AssertionError, match="gt_instances of DetSample must be InstanceData"):
        sample.gt_instances = torch.ones(2)  # type: ignore[assignment]


def test_properties_of_instances_and_maps_are_indexed_and_converted() -> None:
    sample = _sample(3)
    one = sample.gt_instances[torch.tensor([1])]
    assert isinstance(one, Boxes)
    assert one.boxes.tolist() == [[3.0] * 4]
    assert Boxes.cat([one, one]).boxes.shape == (2, 4)
    with pytest.raises(AssertionError):
        sample.gt_instances.boxes = torch.ones(3, 4)
    assert sample.maps[1:3, 2].mask.shape == (1, 2, 1)
    assert isinstance(sample.to_dict()["gt_instances"]["boxes"], torch.Tensor)
    assert isinstance(sample.numpy().gt_instances.boxes, np.ndarray)


def test_overridden_setattr_calls_that_of_the_base() -> None:
    points = Guarded(xyz=torch.ones(2, 3))
    points.labels = [1, 2]
    assert (points.keys(), len(copy.deepcopy(points))) == (["xyz", "labels"], 2)
    with pytest.raises(AssertionError):
        points.count = 3


class AroundTensor:
    """A value of instances whose integer index drops a dimension, as that of a tensor does."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: Any) -> "AroundTensor":
        return AroundTensor(self.tensor[index])

    @staticmethod
    def cat(values: list["AroundTensor"]) -> "AroundTensor":
        return AroundTensor(torch.cat([value.tensor for value in values]))


@pytest.mark.parametrize("index", [[2, 0], [True, False, True], [], 1, slice(1, 3)])
def test_index_keeps_the_dimensions_of_a_class_around_a_tensor(index: Any) -> None:
    values = torch.arange(12).reshape(3, 4)
    picked = InstanceData(boxes=AroundTensor(values), plain=values)[index]
    assert torch.equal(picked.boxes.tensor, picked.plain)


class Levels(BaseDataElement):
    """It sets its fields itself, and lists their names as a set."""

    def set_field(self, value: Any, name: str, *args: Any, **kwargs: Any) -> None:
        self._data_fields.add(name)
        object.__setattr__(self, name, tuple(value))


def test_names_of_fields_may_be_changed_as_a_set() -> None:
    levels = Levels(a=[1, 2])
    levels.b = [3]
    assert (levels.keys(), levels.a) == (["a", "b"], (1, 2))
    levels._data_fields.discard("a")
    levels._data_fields.remove("b")
    assert not levels.keys()


def _restored(kind: type[BaseDataElement], state: dict[str, Any]) -> BaseDataElement:
    element = kind.__new__(kind)
    element.__dict__ = state
    return element


def _reduced(element: BaseDataElement) -> Any:
    return _restored, (type(element), element.__dict__)


@pytest.fixture
def reducers() -> Iterator[None]:
    for kind in (DetSample, Boxes, Maps):
        ForkingPickler.register(kind, _reduced)
    yield
    for kind in (DetSample, Boxes, Maps):
        del ForkingPickler._extra_reducers[kind]  # type: ignore[attr-defined]


def _is_sample(element: Any, number: int) -> None:
    assert type(element) is DetSample
    assert (element.img_id, element.metainfo_keys()) == (number, ["img_id", "img_shape"])
    assert element.keys() == ["gt_instances", "maps"]
    assert element.gt_instances.boxes.tolist() == [[float(number)] * 4] * 2
    element.extra = 1
    assert element.keys() == ["gt_instances", "maps", "extra"]


@pytest.mark.usefixtures("reducers")
def test_state_set_as_dict_restores_the_element() -> None:
    _is_sample(pickle.loads(bytes(ForkingPickler.dumps(_sample(2)))), 2)
    own = _restored(DetSample, dict(_sample(1).__dict__))
    _is_sample(own, 1)


def test_state_with_field_names_as_sets_restores_the_element() -> None:
    state = {"_metainfo_fields": {"a"}, "_data_fields": {"b"}, "a": 1, "b": torch.ones(1)}
    element = _restored(BaseDataElement, state)
    assert (element.metainfo_keys(), element.keys(), element.a) == (["a"], ["b"], 1)
    assert state["_data_fields"] == {"b"}
    element.c = 2
    assert element.keys() == ["b", "c"]


class Samples(Dataset[Any]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.ones(1), "data_samples": _sample(index)}


@pytest.mark.usefixtures("reducers")
def test_samples_come_from_a_worker_through_the_reducers_of_a_library() -> None:
    loader: DataLoader[Any] = DataLoader(Samples(), 2, collate_fn=list, num_workers=1)
    for number, one in enumerate(one for batch in loader for one in batch):
        _is_sample(one["data_samples"], number)
