"""BaseDataElement: fields, their rules, conversions, copies and printing."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from engine_structures import BaseDataElement, InstanceData

META = {"img_id": 7, "img_shape": (800, 1196, 3)}


class DetSample(BaseDataElement):
    """Check a private field in the setter of a property, as in the manual."""

    @property
    def proposals(self) -> BaseDataElement:
        return self._proposals  # type: ignore[no-any-return]  # set through the setter only

    @proposals.setter
    def proposals(self, value: BaseDataElement) -> None:
        self.set_field(value, "_proposals", dtype=BaseDataElement)

    @proposals.deleter
    def proposals(self) -> None:
        del self._proposals


class TypedSample(BaseDataElement):
    """Declare typed fields."""

    gt_instances: InstanceData
    scores: torch.Tensor | None
    names: list[str]


def make() -> BaseDataElement:
    return BaseDataElement(metainfo=META, boxes=torch.ones(5, 4), scores=torch.zeros(5))


def test_fields_and_metainfo_are_attributes() -> None:
    element = make()

    assert element.img_id == 7
    assert element.boxes.shape == (5, 4)
    assert element.keys() == ["boxes", "scores"]
    assert element.metainfo_keys() == ["img_id", "img_shape"]
    assert element.all_keys() == ["img_id", "img_shape", "boxes", "scores"]
    assert [value is element.get(key) for key, value in element.items()] == [True, True]
    assert dict(element.metainfo_items()) == META == element.metainfo
    assert element.metainfo_values() == list(META.values())
    assert len(element.values()) == 2
    assert len(element.all_values()) == len(list(element.all_items())) == 4


def test_contains_covers_fields_and_metainfo() -> None:
    element = make()

    assert "img_id" in element
    assert "scores" in element
    assert "img_id" not in element.keys()  # noqa: SIM118  # the method is what is tested
    assert "other" not in element


def test_metainfo_is_copied_deeply() -> None:
    given = {"sizes": [1, 2]}
    element = BaseDataElement(metainfo=given)

    given["sizes"].append(3)

    assert element.sizes == [1, 2]


def test_metainfo_property_is_a_new_dict() -> None:
    element = make()

    element.metainfo["img_id"] = 8

    assert element.img_id == 7


def test_fields_may_be_added_and_changed() -> None:
    element = BaseDataElement()

    element.scores = torch.zeros(2)
    element.scores = torch.ones(2)
    element.set_metainfo({"img_id": 1})
    element.set_metainfo({"img_id": 2})

    assert element.scores.tolist() == [1, 1]
    assert element.img_id == 2


def test_fields_may_be_deleted() -> None:
    element = make()

    del element.img_id
    del element.scores

    assert element.all_keys() == ["img_shape", "boxes"]
    assert not hasattr(element, "scores")


def test_pop_removes_and_returns() -> None:
    element = make()

    assert element.pop("img_id") == 7
    assert element.pop("scores").shape == (5,)
    assert element.pop("scores", "gone") == "gone"
    assert element.pop("img_id", None) is None
    assert element.all_keys() == ["img_shape", "boxes"]


def test_pop_of_an_unknown_field_raises_and_lists_the_fields() -> None:
    with pytest.raises(KeyError, match="'mask' is not a field; there are img_id"):
        make().pop("mask")


def test_get_has_a_default() -> None:
    element = make()

    assert element.get("img_id") == 7
    assert element.get("mask") is None
    assert element.get("mask", 3) == 3


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda e: setattr(e, "img_id", 8), AttributeError, "change it with set_metainfo"),
        (lambda e: e.set_data({"img_id": 8}), AttributeError, "is meta information"),
        (lambda e: e.set_metainfo({"boxes": 8}), AttributeError, "is a data field"),
        (lambda e: setattr(e, "_data_fields", {}), AttributeError, "cannot be a field"),
        (lambda e: setattr(e, "_metainfo_fields", {}), AttributeError, "cannot be a field"),
        (lambda e: delattr(e, "_data_fields"), AttributeError, "cannot be deleted"),
        (lambda e: setattr(e, "keys", 1), AttributeError, "choose another name"),
        (lambda e: setattr(e, "metainfo", {}), AttributeError, "metainfo"),
        (lambda e: delattr(e, "mask"), AttributeError, "mask"),
        (lambda e: e.set_metainfo([1]), TypeError, "metainfo must be a dict, got list"),
        (lambda e: e.set_data([1]), TypeError, "data must be a dict, got list"),
        (lambda e: e.update({}), TypeError, "instance must be a data element, got dict"),
        (lambda e: e.set_field(1, "a", dtype=str), TypeError, "a of .* must be str, got int"),
        (
            lambda e: e.set_field(1, "a", field_type="x"),
            ValueError,
            "must be 'metainfo' or 'data', got 'x'",
        ),
        (lambda e: e.pop(), TypeError, "a name and optionally a default"),
    ],
    ids=lambda value: None,
)
def test_wrong_use_raises(act: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        act(make())


def test_wrong_type_raises_the_documented_assertion_error() -> None:
    with pytest.raises(AssertionError):
        DetSample().proposals = torch.rand(5, 4)  # type: ignore[assignment]  # the mistake


def test_private_field_is_listed_under_its_property() -> None:
    sample = DetSample()
    proposals = BaseDataElement(boxes=torch.rand(5, 4))

    sample.proposals = proposals

    assert "proposals" in sample
    assert sample.proposals is proposals
    assert sample.keys() == ["proposals"]
    assert sample.new().proposals is proposals
    assert sample.to(torch.float64).proposals.boxes.dtype == torch.float64
    assert sample.pop("proposals") is proposals
    assert "proposals" not in sample


def test_declared_fields_are_checked_at_each_assignment() -> None:
    sample = TypedSample(names=["a"])

    sample.gt_instances = InstanceData(boxes=torch.zeros(2, 4))
    sample.scores = None
    sample.anything_else = 3

    with pytest.raises(TypeError, match="gt_instances of TypedSample must be InstanceData"):
        sample.gt_instances = torch.zeros(2)  # type: ignore[assignment]  # the mistake
    with pytest.raises(TypeError, match="must be Tensor or NoneType, got int"):
        sample.set_data({"scores": 3})
    with pytest.raises(TypeError, match="names of TypedSample must be list"):
        TypedSample(names="abc")


def test_declaration_that_cannot_be_resolved_raises() -> None:
    class Broken(BaseDataElement):
        field: "NotImported"  # type: ignore[name-defined]  # noqa: F821  # the mistake

    with pytest.raises(TypeError, match="import what their annotations name at run time"):
        Broken(field=1)


def test_new_keeps_or_replaces_data_and_metainfo() -> None:
    element = make()

    same = element.new()
    other = element.new(metainfo={"img_id": 1}, labels=torch.zeros(1))

    assert same.all_keys() == element.all_keys()
    assert same.boxes is element.boxes
    assert other.all_keys() == ["img_id", "labels"]
    assert type(DetSample().new()) is DetSample


def test_update_replaces_equal_keys() -> None:
    element = make()

    element.update(BaseDataElement(metainfo={"img_id": 9}, scores=torch.ones(1), extra="x"))

    assert element.img_id == 9
    assert element.scores.tolist() == [1]
    assert element.keys() == ["boxes", "scores", "extra"]


def test_conversions_apply_to_nested_tensors() -> None:
    inner = BaseDataElement(mask=torch.zeros(2, requires_grad=True))
    element = BaseDataElement(
        metainfo={"scale": torch.ones(1)}, inner=inner, pair=(torch.ones(1), "text"), n=3
    )

    half = element.to(torch.float16)
    detached = element.detach()

    assert half.inner.mask.dtype == half.pair[0].dtype == torch.float16
    assert half.pair[1:] == ("text",)
    assert half.n == 3
    assert half.scale.dtype == torch.float32
    assert not detached.inner.mask.requires_grad
    assert element.inner.mask.requires_grad
    assert element.cpu().inner.mask.device.type == "cpu"
    assert element.to(device="meta", dtype=torch.float64).inner.mask.is_meta
    assert type(half) is BaseDataElement


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_moves_every_tensor() -> None:
    element = BaseDataElement(inner=BaseDataElement(a=torch.zeros(1))).cuda()

    assert element.inner.a.is_cuda
    assert not element.cpu().inner.a.is_cuda


def test_arrays_and_tensors_convert_into_each_other() -> None:
    element = BaseDataElement(a=torch.ones(2, requires_grad=True), b={"c": [torch.zeros(1)]})

    arrays = element.numpy()
    tensors = arrays.to_tensor()

    assert isinstance(arrays.a, np.ndarray)
    assert isinstance(arrays.b["c"][0], np.ndarray)
    assert isinstance(tensors.b["c"][0], torch.Tensor)
    assert tensors.a.tolist() == [1, 1]


def test_clone_copies_values_and_keeps_the_graph() -> None:
    weight = torch.ones(2, requires_grad=True)
    element = BaseDataElement(metainfo={"sizes": [1]}, out=weight * 2, names=["a"])

    copied = element.clone()
    copied.names.append("b")
    copied.sizes.append(2)
    copied.out.sum().backward()

    assert element.names == ["a"]
    assert element.sizes == [1]
    assert weight.grad is not None
    assert copied.out is not element.out


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["deepcopy", "pickle"],
)
def test_copies_are_complete_and_independent(duplicate: Any) -> None:
    element = TypedSample(metainfo=META, gt_instances=InstanceData(boxes=torch.ones(2, 4)))

    copied = duplicate(element)
    copied.gt_instances.boxes.zero_()
    copied.extra = 1

    assert type(copied) is TypedSample
    assert copied.metainfo == META
    assert element.gt_instances.boxes.sum() == 8
    assert "extra" not in element


def test_to_dict_converts_nested_elements() -> None:
    element = BaseDataElement(metainfo={"id": 1}, inner=BaseDataElement(metainfo={"id": 2}, a=3))

    assert element.to_dict() == {"id": 1, "inner": {"id": 2, "a": 3}}


def test_repr_shows_fields_and_metainfo_and_indents_elements() -> None:
    inner = BaseDataElement(metainfo={"img_shape": (8, 6)}, det_labels=torch.tensor([0, 1]))
    sample = BaseDataElement(metainfo={"img_shape": (8, 6)}, gt_instances=inner)

    expected = f"""<BaseDataElement(

    META INFORMATION
    img_shape: (8, 6)

    DATA FIELDS
    gt_instances: <BaseDataElement(

        META INFORMATION
        img_shape: (8, 6)

        DATA FIELDS
        det_labels: tensor([0, 1])
    ) at {hex(id(inner))}>
) at {hex(id(sample))}>"""
    assert repr(sample) == expected


def test_shallow_copy_shares_values_but_not_field_names() -> None:
    element = BaseDataElement(metainfo={"size": [4, 6]}, scores=torch.zeros(2))

    other = copy.copy(element)
    other.labels = torch.ones(2)
    other.set_metainfo({"name": "cat.png"})

    assert other.scores is element.scores
    assert other.size is element.size
    assert element.all_keys() == ["size", "scores"]
    assert repr(element)
