"""One process without a group: every function works as with a single rank."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import engine_dist as dist
from engine_dist import device


def test_queries_describe_a_single_process() -> None:
    answers = (
        dist.is_distributed(),
        dist.get_dist_info(),
        dist.get_backend(),
        dist.get_default_group(),
        dist.get_local_group(),
        (dist.get_local_rank(), dist.get_local_size()),
        dist.is_main_process(),
        dist.get_comm_device(),
    )

    assert answers == (False, (0, 1), None, None, None, (0, 1), True, torch.device("cpu"))


def test_local_rank_ignores_a_launcher_without_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")

    assert dist.get_local_rank() == 0


def test_master_only_runs_and_keeps_the_name() -> None:
    @dist.master_only
    def save(path: str) -> str:
        """Save."""
        return path

    assert save("here") == "here"
    assert save.__name__ == "save"


def test_init_local_group_needs_a_group() -> None:
    with pytest.raises(RuntimeError, match="call init_dist first"):
        dist.init_local_group(0, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda data: dist.all_reduce(data),
        lambda data: dist.all_reduce_dict({"a": data}),
        lambda data: dist.all_reduce_params([data]),
        lambda data: dist.broadcast(data),
        lambda data: dist.barrier(),
    ],
    ids=["all_reduce", "dict", "params", "broadcast", "barrier"],
)
def test_in_place_collectives_without_a_group_keep_the_data(
    call: Callable[[torch.Tensor], None],
) -> None:
    data = torch.arange(3)

    assert call(data) is None  # type: ignore[func-returns-value]  # that is the claim
    assert data.tolist() == [0, 1, 2]


def test_gathering_collectives_without_a_group_return_the_data() -> None:
    data = {"a": torch.arange(3)}

    for gathered in (
        dist.all_gather(data),
        dist.gather(data),
        dist.all_gather_object(data),
        dist.gather_object(data),
    ):
        assert gathered is not None
        assert gathered[0] is data
        assert len(gathered) == 1


def test_broadcast_object_list_without_a_group_keeps_the_list() -> None:
    data = ["foo", 12, {1: 2}]

    dist.broadcast_object_list(data)

    assert data == ["foo", 12, {1: 2}]


def test_unknown_reduction_raises_and_lists_the_reductions() -> None:
    with pytest.raises(ValueError, match=r"op must be one of sum, mean, product.*, got 'median'"):
        dist.all_reduce(torch.zeros(1), op="median")


def test_sync_random_seed_uses_the_numpy_generator() -> None:
    np.random.seed(3)
    first = dist.sync_random_seed()
    np.random.seed(3)

    assert dist.sync_random_seed() == first
    assert 0 <= first < 2**31


def test_results_are_cut_to_size_and_ordered_by_index() -> None:
    assert dist.collect_results([1, 2, 3], 2) == [1, 2]
    assert dist.collect_results_cpu([1, 2, 3], 2) == [1, 2]
    assert dist.collect_results_gpu([1, 2, 3], 2) == [1, 2]
    assert dist.collect_results(list("cabc"), 3, indices=[2, 0, 1, 2]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "tpu"}, "must be 'cpu' or 'gpu', got 'tpu'"),
        ({"device": "gpu", "tmpdir": "x"}, "tmpdir must be None with device='gpu'"),
        ({"indices": [0]}, "one item per result, got 1 for 2"),
        ({"indices": [0, 3]}, r"missing \[1\], beyond the end \[3\]"),
    ],
    ids=["device", "tmpdir", "length", "indices"],
)
def test_collect_results_with_wrong_arguments_raises(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dist.collect_results([1, 2], 2, **arguments)


def test_guard_without_a_group_passes_errors() -> None:
    with pytest.raises(RuntimeError, match=r"^connection closed$"), dist.guard_collective("step"):
        raise RuntimeError("connection closed")


def test_rank_lost_without_reasons_shows_the_hint() -> None:
    error = dist.RankLost("barrier", {}, "every rank still answers")

    assert str(error) == "barrier failed: every rank still answers"
    assert error.ranks == ()


def test_device_is_what_torch_reports() -> None:
    name = device.get_device()

    assert torch.zeros(1, device=name).device.type == name
    assert device.is_cuda_available() is torch.cuda.is_available()
    assert device.is_mps_available() is torch.backends.mps.is_available()
    assert device.is_npu_available() is (name == "npu")
    assert device.is_mlu_available() is (name == "mlu")


def test_cuda_memory_is_in_megabytes() -> None:
    memory = device.get_max_cuda_memory()

    assert isinstance(memory, int)
    assert memory == (torch.cuda.max_memory_allocated() // 2**20)
