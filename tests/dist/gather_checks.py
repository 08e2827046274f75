"""Checks of gathering and broadcasting, on any group; each rank of ranks.py runs them.

A check returns nothing when this rank's result is right and raises where it is not.
"""

import re
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as torch_dist
import torch.utils._pytree as pytree

import engine_dist as dist

Pair = namedtuple("Pair", ["first", "second"])


def check_all_gather_gives_tensors_of_any_shape(rank: int, size: int, folder: Path) -> None:
    for dtype in (torch.float32, torch.bool, torch.int16, torch.complex64, torch.bfloat16):

        def make(of: int, dtype: torch.dtype = dtype) -> torch.Tensor:
            return torch.arange(of * 3).reshape(of, 3).to(dtype)

        gathered = dist.all_gather(make(rank))
        assert len(gathered) == size
        for of, tensor in enumerate(gathered):
            assert tensor.dtype == dtype
            assert torch.equal(tensor, make(of))
    scalars = dist.all_gather(torch.tensor(rank, dtype=torch.float64))
    assert [scalar.shape for scalar in scalars] == [torch.Size([])] * size
    assert [scalar.item() for scalar in scalars] == list(range(size))


def check_all_gather_of_same_shapes_equals_torch(rank: int, size: int, folder: Path) -> None:
    data = torch.arange(6).reshape(2, 3).t() + rank
    expected = [torch.zeros(3, 2, dtype=torch.int64) for _ in range(size)]
    torch_dist.all_gather(expected, data.contiguous())
    gathered = dist.all_gather(data, same_shape=True)
    assert all(torch.equal(one, other) for one, other in zip(gathered, expected, strict=True))


def nested(of: int) -> OrderedDict[str, Any]:
    return OrderedDict(
        boxes=torch.full((of + 1, 4), float(of)),
        names=[f"rank {of}"] * of,
        deep=Pair({"mask": torch.tensor([True, of > 1])}, (of, torch.tensor(of))),
        array=np.arange(of),
    )


def assert_nested(data: OrderedDict[str, Any], of: int) -> None:
    expected = nested(of)
    assert type(data) is OrderedDict
    assert torch.equal(data["boxes"], expected["boxes"])
    assert data["names"] == expected["names"]
    pair = data["deep"]
    assert type(pair) is Pair
    assert torch.equal(pair.first["mask"], expected["deep"].first["mask"])
    assert pair.second == (of, torch.tensor(of))
    assert np.array_equal(data["array"], expected["array"])


def check_all_gather_gives_nested_containers(rank: int, size: int, folder: Path) -> None:
    gathered = dist.all_gather(nested(rank))
    assert len(gathered) == size
    for of, data in enumerate(gathered):
        assert_nested(data, of)


def check_gather_reaches_only_its_destination(rank: int, size: int, folder: Path) -> None:
    for dst in range(size):
        gathered = dist.gather(nested(rank), dst=dst)
        assert len(gathered) == (size if rank == dst or size == 1 else 0)
        for of, data in enumerate(gathered):
            assert_nested(data, of)


def check_broadcast_fills_in_place_from_any_rank(rank: int, size: int, folder: Path) -> None:
    for src in range(size):
        base = torch.full((2, 3), rank, dtype=torch.int16)
        data: dict[str, Any] = {
            "x": base.t(),
            "y": [torch.tensor([rank > 0]), torch.tensor(float(rank))],
        }
        dist.broadcast(data, src=src)
        assert bool((base == src).all())
        assert data["y"][0].item() is (src > 0)
        assert data["y"][1].item() == src
        for dtype in (torch.int64, torch.float8_e4m3fn, torch.uint16):
            plain = torch.tensor([[rank], [rank + 1]]).to(dtype)
            dist.broadcast(plain, src)
            assert plain.float().tolist() == [[src], [src + 1]], dtype


def check_single_element_of_a_strided_view_travels(rank: int, size: int, folder: Path) -> None:
    def make(of: int) -> torch.Tensor:
        return torch.arange(of, of + 4)[::2][:1]  # contiguous by torch's count, with a stride of 2

    for gathered in (
        dist.all_gather(make(rank)),
        dist.all_gather(make(rank), same_shape=True),
        dist.all_gather_object(make(rank)),
    ):
        assert [tensor.tolist() for tensor in gathered] == [[of] for of in range(size)]
    data = make(rank)
    dist.broadcast(data, src=size - 1)
    assert data.tolist() == [size - 1]


def check_conjugate_views_of_one_shape_are_gathered(rank: int, size: int, folder: Path) -> None:
    gathered = dist.all_gather(torch.tensor([1j + rank]).conj(), same_shape=True)
    assert [tensor.tolist() for tensor in gathered] == [[of - 1j] for of in range(size)]


def check_subgroups_work_by_global_and_group_rank(rank: int, size: int, folder: Path) -> None:
    if size < 4:
        return
    odd = torch_dist.new_group([1, 3])
    member = rank in (1, 3)
    assert dist.get_world_size(odd) == (2 if member else -1)
    assert dist.is_main_process(odd) is (rank == 1)
    data = torch.tensor([float(rank)])
    dist.all_reduce(data, group=odd)
    assert data.item() == (4 if member else rank)
    assert dist.all_gather_object(rank, odd) == ([1, 3] if member else [])
    gathered = dist.gather(torch.tensor(rank), 3, odd)
    assert [tensor.item() for tensor in gathered] == ([1, 3] if rank == 3 else [])
    first = dist.gather_object(rank, group=odd, group_dst=0)
    assert first == ([1, 3] if rank == 1 else None)
    sent = torch.tensor(rank)
    dist.broadcast(sent, group=odd, group_src=1)
    assert sent.item() == (3 if member else rank)
    names = [f"from {rank}"]
    dist.broadcast_object_list(names, 1, odd)
    assert names == ["from 1" if member else f"from {rank}"]
    dist.barrier(odd)
    if member:
        with pytest.raises(ValueError, match=re.escape("not in the group")):
            dist.broadcast(sent, 0, odd)
        with pytest.raises(ValueError, match=re.escape("not one of")):
            dist.gather(sent, group=odd, group_dst=2)
    if member:
        assert dist.sync_random_seed(odd) < 2**31


def check_long_and_short_contributions_mix(rank: int, size: int, folder: Path) -> None:
    def make(of: int, long: int) -> dict[str, Any]:
        return {"tensor": torch.arange(1000 if of == long else 2), "text": "x" * (of * 600)}

    for long in range(size):
        for root in (None, 0):
            data = make(rank, long)
            every = dist.all_gather(data) if root is None else dist.gather(data, root)
            assert len(every) == (size if root in (None, rank) or size == 1 else 0)
            for of, other in enumerate(every):
                assert torch.equal(other["tensor"], make(of, long)["tensor"])
                assert other["text"] == make(of, long)["text"]


def check_unusual_tensors_keep_their_values(rank: int, size: int, folder: Path) -> None:
    data = {
        "conjugate": torch.tensor([1j + rank]).conj(),
        "sparse": torch.eye(2).to_sparse(),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(1) * rank),
    }
    for gathered in (dist.all_gather(data), dist.all_gather_object(data)):
        for of, other in enumerate(gathered):
            assert other["conjugate"].tolist() == [of - 1j]
            assert other["sparse"].to_dense().tolist() == [[1, 0], [0, 1]]
            assert other["empty"].shape == (0, 3)
            assert other["parameter"].item() == of


def check_accelerator_tensors_travel_through_the_cpu(rank: int, size: int, folder: Path) -> None:
    if not torch.cuda.is_available():
        return
    data: dict[str, Any] = {
        "a": torch.full((2,), rank, device="cuda"),
        "b": [torch.ones(rank, device="cuda")],
    }
    for gathered in (dist.all_gather(data), dist.all_gather_object(data)):
        assert [one["a"].tolist() for one in gathered] == [[of, of] for of in range(size)]
        assert [one["b"][0].shape for one in gathered] == [(of,) for of in range(size)]
        assert all(one["a"].is_cuda for one in gathered)
    dist.all_reduce(data["a"])
    assert data["a"].tolist() == [sum(range(size))] * 2
    dist.broadcast(data["a"].add_(rank), src=size - 1)
    assert data["a"].tolist() == [sum(range(size)) + size - 1] * 2


class Box:
    """A class that a library registers with torch's pytree."""

    def __init__(self, corners: torch.Tensor, name: str) -> None:
        self.corners, self.name = corners, name


pytree.register_pytree_node(
    Box, lambda box: ([box.corners], box.name), lambda values, name: Box(next(iter(values)), name)
)


def check_classes_registered_with_pytree_are_opened(rank: int, size: int, folder: Path) -> None:
    box = Box(torch.tensor([1.0, rank]), f"box {rank}")
    every = dist.all_gather({"box": box})
    assert [data["box"].name for data in every] == [f"box {of}" for of in range(size)]
    assert [data["box"].corners.tolist() for data in every] == [[1, of] for of in range(size)]
    dist.all_reduce([box])
    assert box.corners.tolist() == [size, sum(range(size))]
