"""Data elements as pytree nodes: pytree functions, compile, vmap, data parallel code."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.utils._pytree as pytree

from engine_structures import BaseDataElement, InstanceData, PixelData


def make() -> BaseDataElement:
    return BaseDataElement(
        metainfo={"img_id": 1, "scale": np.ones(2)},
        instances=InstanceData(boxes=torch.ones(2, 4), names=["a", "b"]),
        mask=torch.zeros(3),
    )


def test_tree_map_changes_leaves_and_keeps_the_rest() -> None:
    element = make()

    doubled = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor * 2, element)

    assert type(doubled) is BaseDataElement
    assert doubled.img_id == 1
    assert doubled.instances.boxes.sum() == 16
    assert doubled.instances.names == ["a", "b"]
    assert element.instances.boxes.sum() == 8


def test_tree_specs_of_elements_with_equal_fields_are_equal() -> None:
    like, unlike = make(), make()
    unlike.set_metainfo({"img_id": 2})

    assert pytree.tree_structure(like) != pytree.tree_structure(unlike)
    assert pytree.tree_structure(like) == pytree.tree_structure(make())
    assert hash(pytree.tree_structure(like)) == hash(pytree.tree_structure(make()))


def test_tree_paths_name_the_fields() -> None:
    paths = [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(make())]

    assert paths == [".instances.boxes", ".instances.names[0]", ".instances.names[1]", ".mask"]


def test_unflatten_accepts_any_leaves() -> None:
    leaves, spec = pytree.tree_flatten(InstanceData(a=torch.zeros(2), b=torch.zeros(2)))

    rebuilt = pytree.tree_unflatten([None] * len(leaves), spec)

    assert (rebuilt.a, rebuilt.b) == (None, None)


def test_subclasses_are_registered_with_pytree() -> None:
    class Sample(PixelData):
        pass

    assert len(pytree.tree_leaves(Sample(a=torch.zeros(2, 2), b=torch.zeros(2, 2)))) == 2


def test_vmap_maps_over_an_element() -> None:
    element = BaseDataElement(a=torch.arange(3.0), b=torch.ones(3, 2))

    summed = torch.vmap(lambda one: one.a + one.b.sum())(element)

    assert summed.tolist() == [2, 3, 4]


@pytest.mark.slow
def test_compiled_code_reads_and_creates_elements_without_graph_breaks() -> None:
    @torch.compile(backend="eager", fullgraph=True)
    def step(data: InstanceData) -> InstanceData:
        moved = data.to(torch.float64)
        return InstanceData(boxes=moved.boxes + 1, scores=data.scores * 2)

    result: Any = step(InstanceData(boxes=torch.zeros(3, 4), scores=torch.ones(3)))

    assert result.boxes.dtype == torch.float64
    assert result.boxes.sum() == 12
    assert result.scores.tolist() == [2, 2, 2]
