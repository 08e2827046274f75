"""Checks of objects and of collected results; each rank of ranks.py runs them.

A check returns nothing when this rank's result is right and raises where it is not.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as torch_dist

import engine_dist as dist


def check_random_seed_is_the_same_everywhere(rank: int, size: int, folder: Path) -> None:
    np.random.seed(rank)
    first = np.random.RandomState(0).randint(2**31)
    seed = dist.sync_random_seed()
    assert seed == first
    assert dist.all_gather_object(seed) == [seed] * size


def check_objects_of_any_size_are_gathered(rank: int, size: int, folder: Path) -> None:
    def make(of: int) -> object:
        return {"rank": of, "text": "x" * (of * 3000), "tensor": torch.arange(10)[of : of + 2]}

    def same(one: object, other: object) -> bool:
        return repr(one) == repr(other)

    every = dist.all_gather_object(make(rank))
    assert len(every) == size
    assert all(same(value, make(of)) for of, value in enumerate(every))
    for dst in range(size):
        gathered = dist.gather_object(make(rank), dst)
        if rank == dst:
            assert gathered is not None
            assert all(same(value, make(of)) for of, value in enumerate(gathered))
        else:
            assert gathered is None


def check_views_travel_without_their_storage(rank: int, size: int, folder: Path) -> None:
    view = torch.arange(1000)[rank : rank + 1]
    every = dist.all_gather_object(view)
    assert [value.item() for value in every] == list(range(size))
    if size > 1:
        assert all(value.untyped_storage().nbytes() == 8 for value in every)


def check_object_lists_are_broadcast_in_place(rank: int, size: int, folder: Path) -> None:
    for src in range(size):
        data = ["foo", src, {1: [torch.tensor(src)]}] if rank == src else [None, None, None]
        same = data
        dist.broadcast_object_list(data, src)
        assert same == ["foo", src, {1: [torch.tensor(src)]}]
    with pytest.raises(TypeError, match=re.escape("data must be a list, which is filled in place")):
        dist.broadcast_object_list(("a",))  # type: ignore[arg-type]  # the mistake


def check_object_lists_of_other_lengths_raise(rank: int, size: int, folder: Path) -> None:
    if rank == 0:
        dist.broadcast_object_list([1, 2])
    else:
        with pytest.raises(ValueError, match=re.escape("sent 2 objects")):
            dist.broadcast_object_list([None])


def check_results_come_in_sampler_order(rank: int, size: int, folder: Path) -> None:
    total = 4 * size - 1  # the last rank's last sample is padding
    mine = [(index % total, "x" * index) for index in range(rank, 4 * size, size)]
    expected = [(index, "x" * index) for index in range(total)]
    for kwargs in ({}, {"device": "gpu"}, {"tmpdir": str(folder / "results")}):
        collected = dist.collect_results(mine, total, **kwargs)  # type: ignore[arg-type]  # by row
        assert collected == (expected if rank == 0 else None), kwargs
    assert list(folder.glob("results/*.pkl")) == [] or rank > 0
    assert dist.collect_results_cpu(mine, total) == (expected if rank == 0 else None)
    assert dist.collect_results_gpu(mine, total) == (expected if rank == 0 else None)


def check_results_collected_again_do_not_mix(rank: int, size: int, folder: Path) -> None:
    for number in range(20):
        mine = [(number, rank, "x" * 5000)]
        collected = dist.collect_results(mine, size, tmpdir=str(folder / "again"))
        if rank == 0:
            assert collected == [(number, of, "x" * 5000) for of in range(size)]


def check_results_of_unequal_parts_are_all_kept(rank: int, size: int, folder: Path) -> None:
    collected = dist.collect_results([rank] * (rank + 1), 100)
    if rank == 0:
        assert collected is not None
        assert sorted(collected) == sorted(of for of in range(size) for _ in range(of + 1))


def check_results_with_indices_are_exact_in_any_order(rank: int, size: int, folder: Path) -> None:
    total = 3 * size + 1
    order = np.random.RandomState(7).permutation(total).tolist()
    order += order[: -total % size]  # padding, anywhere
    mine = order[rank * len(order) // size : (rank + 1) * len(order) // size]
    collected = dist.collect_results([f"sample {i}" for i in mine], total, indices=mine)
    assert collected == ([f"sample {i}" for i in range(total)] if rank == 0 else None)


def check_second_group_follows_a_destroyed_one(rank: int, size: int, folder: Path) -> None:
    dist.barrier()
    torch_dist.destroy_process_group()
    assert not dist.is_distributed()
    assert dist.get_local_group() is None
    dist.init_dist("pytorch", "gloo", init_method=f"file://{folder / 'second'}", timeout=60)
    assert dist.all_gather_object(rank) == list(range(size))
