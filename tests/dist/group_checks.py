"""The checks that every rank of the tests' process groups runs; see ranks.py.

A check returns nothing when this rank's result is right and raises where it is not.
"""

import json
import os
import re
import traceback
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as torch_dist
import torch.utils._pytree as pytree

import engine_dist as dist

Check = Callable[[int, int, Path], None]
CHECKS: dict[str, Check] = {}
Pair = namedtuple("Pair", ["first", "second"])


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def raises(kind: type[Exception], text: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        call()


@check
def queries_agree_with_torch(rank: int, size: int, folder: Path) -> None:
    assert dist.is_distributed()
    assert dist.get_dist_info() == (rank, size) == (dist.get_rank(), dist.get_world_size())
    assert dist.get_backend() == "gloo"
    assert dist.get_default_group() is torch_dist.group.WORLD
    assert dist.is_main_process() is (rank == 0)
    assert dist.get_comm_device() == torch.device("cpu")
    assert (dist.get_local_rank(), dist.get_local_size()) == (rank, size)
    assert os.environ["RANK"] == str(rank)


@check
def master_only_acts_on_the_first_rank(rank: int, size: int, folder: Path) -> None:
    assert dist.master_only(lambda: "done")() == ("done" if rank == 0 else None)


@check
def barrier_waits_for_all(rank: int, size: int, folder: Path) -> None:
    (folder / f"here_{rank}").touch()
    dist.barrier()
    assert len(list(folder.glob("here_*"))) == size


@check
def local_group_holds_the_ranks_of_a_machine(rank: int, size: int, folder: Path) -> None:
    per_node = max(size // 2, 1)
    assert dist.get_local_group() is None
    dist.init_local_group(rank // per_node, per_node)
    group = dist.get_local_group()
    first = rank // per_node * per_node
    assert torch_dist.get_process_group_ranks(group) == list(range(first, first + per_node))
    assert (dist.get_local_rank(), dist.get_local_size()) == (rank % per_node, per_node)
    raises(ValueError, "does not divide", lambda: dist.init_local_group(0, size + 1))
    raises(ValueError, "node_rank=99", lambda: dist.init_local_group(99, per_node))


def ranks_of(size: int, make: Callable[[int], torch.Tensor]) -> torch.Tensor:
    return torch.stack([make(rank) for rank in range(size)])


def reduced(stack: torch.Tensor, op: str) -> torch.Tensor:
    by_name: dict[str, Callable[[], torch.Tensor]] = {
        "sum": lambda: stack.sum(0).to(stack.dtype),
        "mean": lambda: torch.div(
            stack.sum(0),
            len(stack),
            rounding_mode=None if stack.dtype.is_floating_point else "trunc",
        ).to(stack.dtype),
        "product": lambda: stack.prod(0).to(stack.dtype),
        "produce": lambda: stack.prod(0).to(stack.dtype),
        "min": lambda: stack.amin(0),
        "max": lambda: stack.amax(0),
    }
    if op in by_name:
        return by_name[op]()
    bitwise = {"band": torch.bitwise_and, "bor": torch.bitwise_or, "bxor": torch.bitwise_xor}
    out = stack[0].clone()
    for other in stack[1:]:
        out = bitwise[op](out, other)
    return out


@check
def all_reduce_equals_each_definition(rank: int, size: int, folder: Path) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.int16):
        for op in ("sum", "mean", "product", "produce", "min", "max", "band", "bor", "bxor"):
            if op.startswith("b") and dtype.is_floating_point:
                continue

            def make(of: int, dtype: torch.dtype = dtype) -> torch.Tensor:
                return torch.tensor([[of + 1, -3 * of - 2], [7, of]], dtype=dtype)

            data = make(rank)
            before = data.data_ptr()
            assert dist.all_reduce(data, op=op) is None  # type: ignore[func-returns-value]  # checked
            assert torch.equal(data, reduced(ranks_of(size, make), op)), (dtype, op, data)
            assert data.data_ptr() == before


@check
def all_reduce_takes_torch_constants_and_refuses_others(rank: int, size: int, folder: Path) -> None:
    data = torch.tensor([float(rank)])
    dist.all_reduce(data, op=dist.ReduceOp.SUM)
    assert data.item() == sum(range(size))
    data = torch.tensor([float(rank)])
    dist.all_reduce(data, op=dist.ReduceOp.AVG)
    assert data.item() == sum(range(size)) / size
    raises(ValueError, "unknown reduction 'median'", lambda: dist.all_reduce(data, op="median"))


@check
def all_reduce_works_through_views_and_containers(rank: int, size: int, folder: Path) -> None:
    base = torch.full((3, 4), float(rank + 1))
    data: dict[str, Any] = {
        "view": base.t()[1:3],
        "more": [torch.tensor(rank), (torch.tensor([rank, 1]), "text")],
    }
    dist.all_reduce(data)
    total = float(sum(range(1, size + 1)))
    assert torch.equal(base[:, 1:3], torch.full((3, 2), total))
    assert torch.equal(base[:, 0], torch.full((3,), float(rank + 1)))
    assert data["more"][0] == sum(range(size))
    assert data["more"][1][0].tolist() == [sum(range(size)), size]


@check
def all_reduce_keeps_no_gradient(rank: int, size: int, folder: Path) -> None:
    weight = torch.ones(2, requires_grad=True)
    dist.all_reduce(weight)
    assert weight.requires_grad
    assert weight.tolist() == [float(size)] * 2


@check
def all_reduce_dict_matches_by_key(rank: int, size: int, folder: Path) -> None:
    entries = {"b": torch.full((2, 2), float(rank)), "a": torch.arange(3), "c": torch.tensor(1.5)}
    data = dict(sorted(entries.items(), reverse=bool(rank % 2)))
    dist.all_reduce_dict(data, op="mean")
    assert torch.equal(data["b"], torch.full((2, 2), sum(range(size)) / size))
    assert data["a"].tolist() == [0, 1, 2]
    assert data["c"].item() == 1.5


@check
def all_reduce_dict_refuses_other_keys_on_every_rank(rank: int, size: int, folder: Path) -> None:
    if size == 1:
        return
    data = {"a" if rank == 0 else "other": torch.zeros(1)}
    raises(dist.RanksDisagree, str(list(range(1, size))), lambda: dist.all_reduce_dict(data))


@check
def all_reduce_params_in_any_buckets(rank: int, size: int, folder: Path) -> None:
    for coalesce, megabytes in ((True, -1), (True, 1), (False, -1)):
        large = torch.full((300_000,), float(rank))
        params = [large, torch.nn.Parameter(torch.ones(2, 3)), torch.arange(2), large[:5] + 1]
        dist.all_reduce_params((param for param in params), coalesce, megabytes)
        total = float(sum(range(size)))
        assert torch.equal(params[0], torch.full((300_000,), total))
        assert torch.equal(params[1], torch.full((2, 3), float(size)))
        assert params[2].tolist() == [0, size]
        assert torch.equal(params[3], torch.full((5,), total + size))


@check
def all_gather_gives_tensors_of_any_shape(rank: int, size: int, folder: Path) -> None:
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


@check
def all_gather_of_same_shapes_equals_torch(rank: int, size: int, folder: Path) -> None:
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
    want = nested(of)
    assert type(data) is OrderedDict
    assert torch.equal(data["boxes"], want["boxes"])
    assert data["names"] == want["names"]
    pair = data["deep"]
    assert type(pair) is Pair
    assert torch.equal(pair.first["mask"], want["deep"].first["mask"])
    assert pair.second == (of, torch.tensor(of))
    assert np.array_equal(data["array"], want["array"])


@check
def all_gather_gives_nested_containers(rank: int, size: int, folder: Path) -> None:
    gathered = dist.all_gather(nested(rank))
    assert len(gathered) == size
    for of, data in enumerate(gathered):
        assert_nested(data, of)


@check
def gather_reaches_only_its_destination(rank: int, size: int, folder: Path) -> None:
    for dst in range(size):
        gathered = dist.gather(nested(rank), dst=dst)
        assert len(gathered) == (size if rank == dst or size == 1 else 0)
        for of, data in enumerate(gathered):
            assert_nested(data, of)


@check
def broadcast_fills_in_place_from_any_rank(rank: int, size: int, folder: Path) -> None:
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
        plain = torch.arange(3) + rank
        dist.broadcast(plain, src)
        assert plain.tolist() == [src, src + 1, src + 2]


@check
def random_seed_is_the_same_everywhere(rank: int, size: int, folder: Path) -> None:
    np.random.seed(rank)
    first = np.random.RandomState(0).randint(2**31)
    seed = dist.sync_random_seed()
    assert seed == first
    assert dist.all_gather_object(seed) == [seed] * size


@check
def objects_of_any_size_are_gathered(rank: int, size: int, folder: Path) -> None:
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


@check
def views_travel_without_their_storage(rank: int, size: int, folder: Path) -> None:
    view = torch.arange(1000)[rank : rank + 1]
    every = dist.all_gather_object(view)
    assert [value.item() for value in every] == list(range(size))
    if size > 1:
        assert all(value.untyped_storage().nbytes() == 8 for value in every)


@check
def object_lists_are_broadcast_in_place(rank: int, size: int, folder: Path) -> None:
    for src in range(size):
        data = ["foo", src, {1: [torch.tensor(src)]}] if rank == src else [None, None, None]
        same = data
        dist.broadcast_object_list(data, src)
        assert same == ["foo", src, {1: [torch.tensor(src)]}]
    raises(TypeError, "fills a list in place", lambda: dist.broadcast_object_list(("a",)))  # type: ignore[arg-type]  # the mistake


@check
def object_lists_of_other_lengths_are_refused(rank: int, size: int, folder: Path) -> None:
    if rank == 0:
        dist.broadcast_object_list([1, 2])
    else:
        raises(ValueError, "sent 2 objects", lambda: dist.broadcast_object_list([None]))


@check
def results_come_in_sampler_order(rank: int, size: int, folder: Path) -> None:
    total = 4 * size - 1  # the last rank's last sample is padding
    mine = [(index % total, "x" * index) for index in range(rank, 4 * size, size)]
    want = [(index, "x" * index) for index in range(total)]
    for kwargs in ({}, {"device": "gpu"}, {"tmpdir": str(folder / "results")}):
        collected = dist.collect_results(mine, total, **kwargs)  # type: ignore[arg-type]  # by row
        assert collected == (want if rank == 0 else None), kwargs
    assert list(folder.glob("results/*.pkl")) == [] or rank > 0
    assert dist.collect_results_cpu(mine, total) == (want if rank == 0 else None)
    assert dist.collect_results_gpu(mine, total) == (want if rank == 0 else None)


@check
def results_of_unequal_parts_are_all_kept(rank: int, size: int, folder: Path) -> None:
    collected = dist.collect_results([rank] * (rank + 1), 100)
    if rank == 0:
        assert collected is not None
        assert sorted(collected) == sorted(of for of in range(size) for _ in range(of + 1))


@check
def results_with_indices_are_exact_in_any_order(rank: int, size: int, folder: Path) -> None:
    total = 3 * size + 1
    order = np.random.RandomState(7).permutation(total).tolist()
    order += order[: -total % size]  # padding, anywhere
    mine = order[rank * len(order) // size : (rank + 1) * len(order) // size]
    collected = dist.collect_results([f"sample {i}" for i in mine], total, indices=mine)
    assert collected == ([f"sample {i}" for i in range(total)] if rank == 0 else None)


@check
def subgroups_work_by_global_and_group_rank(rank: int, size: int, folder: Path) -> None:
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
        raises(ValueError, "not in the group", lambda: dist.broadcast(sent, 0, odd))
        raises(ValueError, "not one of", lambda: dist.gather(sent, group=odd, group_dst=2))
    if member:
        assert dist.sync_random_seed(odd) < 2**31


@check
def long_and_short_contributions_mix(rank: int, size: int, folder: Path) -> None:
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


@check
def unusual_tensors_arrive_whole(rank: int, size: int, folder: Path) -> None:
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


@check
def accelerator_tensors_travel_through_the_cpu(rank: int, size: int, folder: Path) -> None:
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
    """What a library would register with torch's pytree; data elements do it by themselves."""

    def __init__(self, corners: torch.Tensor, name: str) -> None:
        self.corners, self.name = corners, name


pytree.register_pytree_node(
    Box, lambda box: ([box.corners], box.name), lambda values, name: Box(next(iter(values)), name)
)


@check
def classes_known_to_pytree_are_opened(rank: int, size: int, folder: Path) -> None:
    box = Box(torch.tensor([1.0, rank]), f"box {rank}")
    every = dist.all_gather({"box": box})
    assert [data["box"].name for data in every] == [f"box {of}" for of in range(size)]
    assert [data["box"].corners.tolist() for data in every] == [[1, of] for of in range(size)]
    dist.all_reduce([box])
    assert box.corners.tolist() == [size, sum(range(size))]


def main(rank: int, size: int, folder: Path) -> None:
    """Be one rank: join the group, run every check, report."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    # gloo also where there is a GPU, which nccl would not let several ranks share
    dist.init_dist("pytorch", "gloo", init_method=f"file://{folder / 'store'}", timeout=60)
    report: dict[str, str] = {}
    for name, function in CHECKS.items():
        try:
            function(rank, size, folder)
            report[name] = ""
        except Exception:
            report[name] = traceback.format_exc()
    torch_dist.barrier()
    (folder / f"report_{rank}.json").write_text(json.dumps(report))
    torch_dist.destroy_process_group()
