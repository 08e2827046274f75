"""Measure the cost of engine-dist's collectives over torch's own, and without a process group.

Two gloo processes run on this machine. Each line is a ratio to the same work with
torch.distributed, measured alternately in the same run. Without a group the baseline is torch's
check whether a group exists, which any such function needs.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as torch_dist

import engine_dist as dist

ROUNDS = 9


def seconds(call: Callable[[], object], calls: int) -> float:
    """Return the time of one call, averaged over several."""
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls


def compare(
    name: str, theirs: Callable[[], object], ours: Callable[[], object], calls: int
) -> None:
    """Measure two calls alternately, and print their ratio on the first rank."""
    pairs = [(seconds(theirs, calls), seconds(ours, calls)) for _ in range(ROUNDS)]
    base, cost = (
        min(times) for times in zip(*pairs, strict=True)
    )  # the rounds that other programs disturbed least
    if dist.is_main_process():
        print(
            f"{name:34s} torch {base * 1e6:9.2f} us  engine {cost * 1e6:9.2f} us  "
            f"ratio {cost / base:.2f}",
            flush=True,
        )


def compare_without_group() -> None:
    """Measure the cost in a single process, where the functions return at once."""
    data = torch.zeros(4)

    def ask() -> bool:
        return torch_dist.is_available() and torch_dist.is_initialized()

    compare("no group: all_reduce", ask, lambda: dist.all_reduce(data), 20_000)
    compare("no group: get_rank", ask, dist.get_rank, 20_000)
    compare("no group: all_gather_object", ask, lambda: dist.all_gather_object(data), 20_000)


def gather_by_torch(data: torch.Tensor) -> list[torch.Tensor]:
    """Gather tensors of one shape."""
    parts = [torch.empty_like(data) for _ in range(torch_dist.get_world_size())]
    torch_dist.all_gather(parts, data)
    return parts


def gather_objects_by_torch(value: object) -> list[object]:
    """Gather objects with torch's own function."""
    values: list[object] = [None] * torch_dist.get_world_size()
    torch_dist.all_gather_object(values, value)
    return values


def compare_tensors(name: str, data: torch.Tensor, calls: int) -> None:
    """Measure the collectives on a tensor."""
    compare(
        f"all_reduce, {name}",
        lambda: torch_dist.all_reduce(data),
        lambda: dist.all_reduce(data),
        calls,
    )
    compare(
        f"all_gather same_shape, {name}",
        lambda: gather_by_torch(data),
        lambda: dist.all_gather(data, same_shape=True),
        calls,
    )
    compare(
        f"all_gather any shape, {name}",
        lambda: gather_by_torch(data),
        lambda: dist.all_gather(data),
        calls,
    )


def run_rank(rank: int, store: str) -> None:
    """Run as one of two ranks."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    dist.init_dist("pytorch", backend="gloo", init_method=f"file://{store}", timeout=120)
    results = [{"boxes": torch.rand(20, 4), "scores": torch.rand(20)} for _ in range(200)]
    compare_tensors("16 floats", torch.ones(16), 300)
    compare_tensors("1 MB", torch.ones(250_000), 30)
    compare(
        "all_gather_object, small dict",
        lambda: gather_objects_by_torch({"loss": 1.0}),
        lambda: dist.all_gather_object({"loss": 1.0}),
        300,
    )
    compare(
        "all_gather_object, 200 results",
        lambda: gather_objects_by_torch(results),
        lambda: dist.all_gather_object(results),
        2,
    )
    torch_dist.destroy_process_group()


def main() -> None:
    """Measure alone, then with two ranks."""
    compare_without_group()
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("fork")
        ranks = [
            context.Process(target=run_rank, args=(rank, str(Path(folder) / "store")))
            for rank in range(2)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()


if __name__ == "__main__":
    main()
