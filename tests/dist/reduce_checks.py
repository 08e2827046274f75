"""Checks of queries, barriers and reductions; each rank of ranks.py runs them.

A check returns nothing when this rank's result is right and raises where it is not.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as torch_dist

import engine_dist as dist
from engine_dist.watch._process import current_monitor


def check_queries_agree_with_torch(rank: int, size: int, folder: Path) -> None:
    assert dist.is_distributed()
    assert dist.get_dist_info() == (rank, size) == (dist.get_rank(), dist.get_world_size())
    assert dist.get_backend() == "gloo"
    assert dist.get_default_group() is torch_dist.group.WORLD
    assert dist.is_main_process() is (rank == 0)
    assert dist.get_comm_device() == torch.device("cpu")
    assert (dist.get_local_rank(), dist.get_local_size()) == (rank, size)
    assert os.environ["RANK"] == str(rank)


def check_master_only_acts_on_the_first_rank(rank: int, size: int, folder: Path) -> None:
    assert dist.master_only(lambda: "done")() == ("done" if rank == 0 else None)


def check_barrier_waits_for_all(rank: int, size: int, folder: Path) -> None:
    (folder / f"here_{rank}").touch()
    dist.barrier()
    assert len(list(folder.glob("here_*"))) == size


def check_local_group_holds_the_ranks_of_a_machine(rank: int, size: int, folder: Path) -> None:
    per_node = max(size // 2, 1)
    assert dist.get_local_group() is None
    dist.init_local_group(rank // per_node, per_node)
    group = dist.get_local_group()
    first = rank // per_node * per_node
    assert torch_dist.get_process_group_ranks(group) == list(range(first, first + per_node))
    assert (dist.get_local_rank(), dist.get_local_size()) == (rank % per_node, per_node)
    with pytest.raises(ValueError, match=re.escape("num_gpus_per_node must divide the ")):
        dist.init_local_group(0, size + 1)
    with pytest.raises(ValueError, match=re.escape("node_rank=99")):
        dist.init_local_group(99, per_node)


def check_forked_child_is_not_a_rank(rank: int, size: int, folder: Path) -> None:
    """An error in a worker process must not be recorded as a failure of its rank."""
    assert (current_monitor() is None) is (size == 1)
    child = os.fork()
    if child == 0:
        os._exit(0 if current_monitor() is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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


def check_all_reduce_equals_each_definition(rank: int, size: int, folder: Path) -> None:
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


def check_all_reduce_takes_torch_constants_and_no_others(
    rank: int, size: int, folder: Path
) -> None:
    data = torch.tensor([float(rank)])
    dist.all_reduce(data, op=dist.ReduceOp.SUM)
    assert data.item() == sum(range(size))
    data = torch.tensor([float(rank)])
    dist.all_reduce(data, op=dist.ReduceOp.AVG)
    assert data.item() == sum(range(size)) / size
    with pytest.raises(ValueError, match=r"op must be one of .*, got 'median'"):
        dist.all_reduce(data, op="median")


def check_all_reduce_works_through_views_and_containers(rank: int, size: int, folder: Path) -> None:
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


def check_all_reduce_keeps_no_gradient(rank: int, size: int, folder: Path) -> None:
    weight = torch.ones(2, requires_grad=True)
    dist.all_reduce(weight)
    assert weight.requires_grad
    assert weight.tolist() == [float(size)] * 2


def check_all_reduce_dict_matches_by_key(rank: int, size: int, folder: Path) -> None:
    entries = {"b": torch.full((2, 2), float(rank)), "a": torch.arange(3), "c": torch.tensor(1.5)}
    data = dict(sorted(entries.items(), reverse=bool(rank % 2)))
    dist.all_reduce_dict(data, op="mean")
    assert torch.equal(data["b"], torch.full((2, 2), sum(range(size)) / size))
    assert data["a"].tolist() == [0, 1, 2]
    assert data["c"].item() == 1.5


def check_all_reduce_dict_with_other_keys_raises_on_every_rank(
    rank: int, size: int, folder: Path
) -> None:
    if size == 1:
        return
    data = {"a" if rank == 0 else "other": torch.zeros(1)}
    with pytest.raises(dist.RanksDisagree, match=re.escape(str(list(range(1, size))))):
        dist.all_reduce_dict(data)


def check_all_reduce_params_in_any_buckets(rank: int, size: int, folder: Path) -> None:
    for coalesce, megabytes in ((True, -1), (True, 1), (False, -1)):
        large = torch.full((300_000,), float(rank))
        params = [large, torch.nn.Parameter(torch.ones(2, 3)), torch.arange(2), large[:5] + 1]
        dist.all_reduce_params((param for param in params), coalesce, megabytes)
        total = float(sum(range(size)))
        assert torch.equal(params[0], torch.full((300_000,), total))
        assert torch.equal(params[1], torch.full((2, 3), float(size)))
        assert params[2].tolist() == [0, size]
        assert torch.equal(params[3], torch.full((5,), total + size))
