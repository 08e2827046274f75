"""Tensors on an accelerator: in a group that sends from the CPU, and in one of nccl."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as torch_dist

import engine_dist as dist
from engine_dist import _collectives, _results, _wire
from engine_dist._groups import comm_device_types

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(params=["gloo", "nccl", "cpu:gloo,cuda:nccl"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Create a group of one rank: the use of devices does not depend on the number of ranks."""
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    dist.init_dist("pytorch", request.param, init_method=f"file://{tmp_path / 'store'}", timeout=30)
    yield request.param
    torch_dist.destroy_process_group()


@pytest.mark.parametrize("backend", ["gloo", "nccl", "cpu:gloo,cuda:nccl"])
def test_device_follows_the_local_rank(backend: str, tmp_path: Path) -> None:
    last = torch.cuda.device_count() - 1
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": str(last)}
    torch.cuda.set_device(0)

    dist.init_dist("pytorch", backend, init_method=f"file://{tmp_path / 'store'}", timeout=30)
    try:
        assert torch.cuda.current_device() == last
        assert dist.get_comm_device() == torch.device(
            "cpu" if backend == "gloo" else f"cuda:{last}"
        )
    finally:
        torch_dist.destroy_process_group()


def test_get_comm_device_returns_the_device_of_the_backend(group: str) -> None:
    assert dist.get_comm_device().type == ("cpu" if group == "gloo" else "cuda")


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_containers_are_gathered_on_their_own_device(group: str, where: str) -> None:
    data = {"a": torch.arange(3, device=where), "b": [torch.ones(2, 2, device=where).t(), "text"]}

    (gathered,) = _wire.gather_data(data, None)

    assert gathered["a"].device.type == gathered["b"][0].device.type == where
    assert gathered["a"].tolist() == [0, 1, 2]
    assert gathered["b"][1] == "text"


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_objects_arrive_on_their_own_device(group: str, where: str) -> None:
    (gathered,) = _wire.gather_objects([torch.arange(3, device=where)], None)

    assert gathered[0].device.type == where
    assert gathered[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_reduction_stays_in_place_on_any_device(group: str, where: str) -> None:
    tensors = [torch.arange(3, device=where), torch.ones(2, 2, device=where).t()]

    for tensor in tensors:
        _collectives._reduce_together([tensor], torch_dist.ReduceOp.SUM, mean=True, group=None)

    assert tensors[0].tolist() == [0, 1, 2]
    assert tensors[1].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_all_gather_with_same_shape_keeps_the_device(group: str, where: str) -> None:
    (gathered,) = _collectives._gather_alike(torch.arange(3, device=where), None)

    assert gathered.device.type == where
    assert gathered.tolist() == [0, 1, 2]


def test_broadcast_and_barrier_run(group: str) -> None:
    dist.broadcast(torch.ones(1, device="cuda"))
    dist.barrier()

    assert dist.get_backend() is not None


def test_results_can_travel_through_the_cpu(group: str) -> None:
    beside = _results._cpu_group()

    assert "cpu" in comm_device_types(beside)
    assert _results._cpu_group() is beside
    assert dist.collect_results([torch.ones(1, device="cuda")], 1) is not None
