"""Model wrappers: two real processes, compared with one process on all the data."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.distributed.fsdp import BackwardPrefetch, CPUOffload, CPUOffloadPolicy

from engine_model import (
    FSDP_WRAP_POLICIES,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
    is_model_wrapper,
)
from engine_model.wrappers._policies import wrap_policy
from engine_model.wrappers._sharding import check_prefetch, offload_policy
from engine_registry import MODEL_WRAPPERS, Registry

Results = list[dict[str, Any]]


@pytest.fixture
def results(rank_results: dict[str, Results]) -> Results:
    return rank_results["wrapper_ranks.py"]


def case(results: Results, name: str) -> Results:
    for rank, result in enumerate(results):
        assert not isinstance(result[name], str), f"rank {rank}: {result[name]}"
    return [result[name] for result in results]


TRAINED = [
    "distributed",
    "distributed accumulation",
    "separate",
    "sharded",
    "sharded by name",
    "sharded by function",
    "sharded by config",
    "sharded copies",
    "sharded hybrid",
    "sharded grad op",
    "sharded subgroup",
    "sharded accumulation",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_training_on_two_ranks_is_training_on_all_their_data(results: Results, name: str) -> None:
    for rank in case(results, name):
        assert rank["weights"].keys() == rank["wanted"].keys()
        torch.testing.assert_close(rank["weights"], rank["wanted"])


@pytest.mark.parametrize("name", ["distributed", "sharded", "sharded by name"])
def test_each_rank_returns_the_losses_of_its_own_data(results: Results, name: str) -> None:
    ranks = case(results, name)
    for rank in ranks:
        assert [list(log) for log in rank["logs"]] == [["loss", "error"]] * 3
        assert torch.equal(rank["val"], rank["test"])
        assert rank["is_wrapper"]
        assert rank["preprocessor"]
    assert ranks[0]["logs"] != ranks[1]["logs"]
    assert not torch.equal(ranks[0]["val"], ranks[1]["val"])


def test_accumulation_keeps_gradients_local_until_the_update(results: Results) -> None:
    first, second = case(results, "distributed accumulation")
    assert not torch.allclose(first["local"], second["local"])


def test_anomalous_parameters_are_logged_on_request(results: Results) -> None:
    for rank in case(results, "anomalous"):
        assert [line.split()[0] for line in rank["lines"]] == ["idle.weight", "idle.bias"]


def test_separate_wrapper_wraps_children_that_train(results: Results) -> None:
    for rank in case(results, "separate"):
        assert rank["wrapped"] == ["first", "second"]
        assert rank["logs"] == [["loss", "loss_first", "loss_second"]] * 3
        assert rank["modes"] == (False, False, False)
        assert rank["is_wrapper"]
        assert rank["val"]
        assert rank["test"]
        assert rank["preprocessor"]


def test_separate_wrapper_without_sync_keeps_gradients_local(results: Results) -> None:
    first, second = case(results, "separate without sync")
    assert not torch.allclose(first["local"], second["local"])
    mean = (first["local"] + second["local"]) / 2
    torch.testing.assert_close(first["shared"], mean)
    torch.testing.assert_close(second["shared"], mean)


def test_separate_wrapper_logs_parameters_it_cannot_average(results: Results) -> None:
    for rank in case(results, "separate warns"):
        (line,) = rank["lines"]
        assert line.endswith("across the ranks: scale")


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("sharded", [""]),
        ("sharded by name", ["", "heads.0", "idle", "layers.0", "layers.2"]),
        ("sharded by function", ["", "layers.0"]),
        ("sharded by config", ["", "layers.0"]),
    ],
)
def test_policies_choose_the_units(results: Results, name: str, units: list[str]) -> None:
    for rank in case(results, name):
        assert rank["units"] == units


def test_each_rank_holds_a_part_of_the_parameters(results: Results) -> None:
    ranks = case(results, "sharded")
    total = sum(value.numel() for value in ranks[0]["wanted"].values())
    assert [rank["local"] < total for rank in ranks] == [True, True]
    assert sum(rank["local"] for rank in ranks) == total


def test_sharded_parameters_are_initialized_by_a_config(results: Results) -> None:
    first, second = case(results, "sharded initialisation")
    assert set(first["values"]) == set(second["values"]) == {2, 3}
    assert all("ConstantInit: val=3, bias=2" in line for line in first["lines"])


def test_sharded_precision_comes_from_a_config(results: Results) -> None:
    assert [rank["dtype"] for rank in case(results, "sharded precision")] == ["torch.bfloat16"] * 2


def test_unsharded_parameters_are_copied_to_all_ranks(results: Results) -> None:
    for rank in case(results, "sharded copies"):
        assert rank["local"] == sum(value.numel() for value in rank["wanted"].values())


def test_sharded_precision_and_buffers_take_the_earlier_option(results: Results) -> None:
    for rank in case(results, "sharded earlier precision"):
        assert rank == {"dtype": "torch.bfloat16", "buffer": "torch.float16"}


def test_meta_parameters_are_created_before_sharding(results: Results) -> None:
    for rank in case(results, "sharded from meta"):
        assert set(rank["values"]) == {3.0}  # those of rank 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sharding_strategy": "FULL"}, ValueError, "must be one of FULL_SHARD.*got 'FULL'"),
        ({"use_orig_params": False}, ValueError, "use_orig_params must be True"),
        (
            {"auto_wrap_policy": "always_wrap_policy", "fsdp_auto_wrap_policy": len},
            ValueError,
            "either auto_wrap_policy or fsdp_auto_wrap_policy must be given, got both",
        ),
        (
            {"mixed_precision": {"param_dtype": "bfloat16"}, "mp_policy": {}},
            ValueError,
            "either mixed_precision or mp_policy must be given, got both",
        ),
        ({"mixed_precision": {"param": 1}}, ValueError, "keys param_dtype.*got 'param'"),
        (
            {"mixed_precision": {"keep_low_precision_grads": True}},
            ValueError,
            "keep_low_precision_grads of mixed_precision must be False, got True",
        ),
        ({"mixed_precision": 16}, TypeError, "must be a dict or a .*MixedPrecision, got 16"),
        ({"param_init_fn": "my_init"}, ValueError, "name in FUNCTIONS, got 'my_init'"),
        ({"param_init_fn": 3}, TypeError, "param_init_fn must be a function or its name, got 3"),
        (
            {"sharding_strategy": "NO_SHARD", "mesh": 1},
            ValueError,
            "mesh must have 2 dimensions with sharding_strategy='NO_SHARD', got 1",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_invalid_options_of_sharding_raise(
    alone: None, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        MMFullyShardedDataParallel(nn.Linear(1, 1), **options)


def test_options_of_sharding_are_given_by_name(alone: None) -> None:
    with pytest.raises(TypeError, match="positional"):
        MMFullyShardedDataParallel(nn.Linear(1, 1), *(None, True))  # type: ignore[call-arg,arg-type]  # wrong on purpose


def test_module_left_on_the_meta_device_raises(alone: None) -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(1, 1))

    with pytest.raises(ValueError, match="got '0' on the meta device still"):
        MMFullyShardedDataParallel(model, param_init_fn=lambda module: None)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def test_separate_wrapper_passes_its_arguments_to_each_child(alone: None) -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    wrapper = MMSeparateDistributedDataParallel(model, True, True, detect_anomalous_params=True)
    child: Any = model[0]
    assert isinstance(child, MMDistributedDataParallel)
    assert child.find_unused_parameters
    assert child.detect_anomalous_params
    assert wrapper.module is model


def test_the_old_name_of_buffer_broadcasts_is_accepted(alone: None) -> None:
    wrapper: Any = MMDistributedDataParallel(nn.BatchNorm1d(1), broadcast_buffers=False)
    assert not wrapper.will_sync_module_buffers()


def test_sharding_without_a_process_group_raises() -> None:
    with pytest.raises(RuntimeError, match="torchrun"):
        MMFullyShardedDataParallel(nn.Linear(1, 1))


@pytest.mark.parametrize("value", [None, "BACKWARD_POST", BackwardPrefetch.BACKWARD_PRE])
def test_documented_prefetch_values_pass(value: Any) -> None:
    check_prefetch(value)


def test_unknown_prefetch_value_raises_and_lists_the_values() -> None:
    with pytest.raises(ValueError, match="one of BACKWARD_PRE, BACKWARD_POST, got 'NONE'"):
        check_prefetch("NONE")


@pytest.mark.parametrize(
    ("value", "kind", "offloads"),
    [
        (True, "cuda", True),
        (CPUOffload(offload_params=True), "cuda", True),
        (CPUOffload(), "cuda", False),
        (None, "cuda", False),
        (False, "cuda", False),
        (True, "cpu", False),
    ],
)
def test_offloading_applies_to_accelerators_only(value: Any, kind: str, offloads: bool) -> None:
    assert isinstance(offload_policy(value, kind), CPUOffloadPolicy) is offloads


def test_offloading_of_another_type_raises() -> None:
    with pytest.raises(TypeError, match="cpu_offload must be a bool"):
        offload_policy("yes", "cuda")  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("my_policy", ValueError, r"FSDP_WRAP_POLICIES \(.*always_wrap_policy.*got 'my_policy'"),
        ({"min_num_params": 3}, ValueError, "FSDP_WRAP_POLICIES .*got None"),
        (None, TypeError, "an integer, a dict or classes, got None"),
    ],
    ids=["unknown", "no type", "none"],
)
def test_invalid_policy_raises_and_lists_the_policies(
    value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        wrap_policy(value, nn.Sequential(nn.Linear(1, 1)))


def test_importing_the_package_does_not_load_sharding() -> None:
    script = "import engine_model, sys; sys.exit('torch.distributed.fsdp' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600)


def test_documented_policies_are_registered() -> None:
    for name in ("always_wrap_policy", "default_auto_wrap_policy", "size_based_auto_wrap_policy"):
        assert callable(FSDP_WRAP_POLICIES.get(name))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: nn.DataParallel(nn.Linear(1, 1)), True),
        (lambda: nn.Linear(1, 1), False),
        (lambda: nn.Sequential(nn.DataParallel(nn.Linear(1, 1))), False),
    ],
    ids=["parallel", "linear", "inside"],
)
def test_wrappers_are_distinguished_from_models(
    make: Callable[[], nn.Module], expected: bool
) -> None:
    assert is_model_wrapper(make()) is expected


def test_wrappers_of_a_child_registry_are_recognized() -> None:
    class Wrapper(nn.Module):
        pass

    parent = Registry("wrapper_of_test", scope="a")
    child = Registry("wrapper_of_test", parent=parent, scope="b")
    child.register_module(module=Wrapper)
    assert is_model_wrapper(Wrapper(), parent)
    assert not is_model_wrapper(Wrapper())
    assert not is_model_wrapper(nn.DataParallel(nn.Linear(1, 1)), parent)


@pytest.mark.parametrize(
    "name",
    [
        "DataParallel",
        "DistributedDataParallel",
        "MMDistributedDataParallel",
        "MMFullyShardedDataParallel",
        "MMSeparateDistributedDataParallel",
    ],
)
def test_documented_wrappers_are_registered(name: str) -> None:
    found = MODEL_WRAPPERS.get(name)
    assert found is not None
    assert found.__name__ == name


@pytest.mark.parametrize("kind", [MMDistributedDataParallel, MMSeparateDistributedDataParallel])
def test_wrapping_without_a_process_group_raises(kind: Any) -> None:
    with pytest.raises(RuntimeError, match=r"needs a process group.*torchrun.*init_dist"):
        kind(nn.Sequential(nn.Linear(1, 1)))
