"""A model is sharded by class, size or policy, over a mesh, in data types, and built on meta."""

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from engine_model import MMDistributedDataParallel, check_sharding
from engine_model.wrappers._mesh import mesh_shape
from engine_model.wrappers._own_step import has_own_step
from engine_model.wrappers._policies import wrap_policy

if TYPE_CHECKING:
    from conftest import Scripts

Results = dict[str, list[dict[str, Any]]]
BLOCKS = ["", "blocks.0", "blocks.1", "blocks.2"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, scripts: "Scripts") -> Results:
    """Run the cases of four processes; return the results of each case by rank."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "mesh_ranks"
    folder.mkdir(exist_ok=True)
    here = Path(__file__).parent
    files = [folder / f"{rank}.pt" for rank in range(4)]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(file.exists() for file in files):
            for ended in scripts.run_ranks(
                here / "run_ranks.py", folder, here / "mesh_ranks.py", folder=folder, size=4
            ):
                assert ended.returncode == 0, ended.stdout
    ranks = [torch.load(file, weights_only=False)["mesh_ranks.py"] for file in files]
    return {name: [rank[name] for rank in ranks] for name in ranks[0]}


def case(results: Results, name: str) -> list[dict[str, Any]]:
    for rank in results[name]:
        assert isinstance(rank, dict), rank
    return results[name]


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("class name", BLOCKS),
        ("classes", BLOCKS),  # the shared weight of ``first`` is in the root
        ("module names", ["", "blocks.0", "blocks.2"]),
        ("container", BLOCKS),
        ("size", ["", *(f"{name}.linear" for name in BLOCKS[1:])]),
        ("function", BLOCKS),
        ("function config", [""]),
        ("torch config", BLOCKS),
        ("everything", ["", *(f"{name}.linear" for name in BLOCKS[1:])]),
        ("copies", BLOCKS),
        ("copies left", [""]),
        ("hybrid", [""]),
        ("mesh object", [""]),
        ("kept", BLOCKS),
        ("offload", BLOCKS),
        ("accumulation", BLOCKS),
        ("sharded own step", BLOCKS),
        ("sharded own step accumulation", [""]),
    ],
)
def test_sharded_training_gives_the_weights_of_one_process(
    results: Results, name: str, units: list[str]
) -> None:
    for rank in case(results, name):
        assert rank["units"] == units
        torch.testing.assert_close(rank["weights"], rank["wanted"])


def test_shared_weight_stays_one(results: Results) -> None:
    for rank in case(results, "everything"):
        assert torch.equal(rank["weights"]["first.weight"], rank["weights"]["last.weight"])


@pytest.mark.parametrize(
    ("name", "mesh"),
    [
        ("class name", [4]),
        ("copies", [2, 2]),
        ("copies left", [2, 2]),
        ("hybrid", [2, 2]),
        ("mesh object", [4]),
    ],
)
def test_mesh_has_the_ranks_that_share_a_copy(results: Results, name: str, mesh: list[int]) -> None:
    ranks = case(results, name)
    assert [rank["mesh"] for rank in ranks] == [mesh] * 4
    assert sum(rank["local"] for rank in ranks) * mesh[-1] == ranks[0]["total"] * 4


def test_units_free_parameters_unless_they_are_kept(results: Results) -> None:
    assert case(results, "class name")[0]["frees"]
    assert not case(results, "kept")[0]["frees"]


def test_precision_has_the_types_of_the_config(results: Results) -> None:
    for rank in case(results, "precision"):
        assert rank["dtype"] == "torch.float32"
        assert not torch.equal(rank["weights"]["last.weight"], rank["wanted"]["last.weight"])
        torch.testing.assert_close(rank["weights"], rank["wanted"], rtol=0.05, atol=0.02)
    assert case(results, "precision object")[0]["dtype"] == "torch.bfloat16"


@pytest.mark.parametrize("name", ["own step", "own step accumulation"])
def test_own_step_of_a_model_averages_gradients(results: Results, name: str) -> None:
    for rank in case(results, name):
        assert rank["logs"] == [["own"]] * 4
        assert rank["checked"]
        torch.testing.assert_close(rank["weights"], rank["wanted"])


def test_own_step_that_bypasses_the_wrapper_raises_after_the_first_update(
    results: Results,
) -> None:
    for rank in case(results, "bypassing"):
        assert rank["steps"] == 0
        assert "BypassingStep must call the model itself" in rank["message"]
    assert "'first.weight'" in case(results, "bypassing")[1]["message"]


def test_equal_data_does_not_end_the_comparison_of_a_bypassing_step(results: Results) -> None:
    for rank in case(results, "bypassing with equal data"):
        assert (rank["steps"], rank["done"]) == (3, False)


def test_sharded_initialization_gives_the_weights_of_one_process(results: Results) -> None:
    for rank in case(results, "initialized"):
        torch.testing.assert_close(rank["weights"], rank["wanted"], rtol=0, atol=0)


def test_model_on_meta_is_filled_in_shards(results: Results) -> None:
    ranks = case(results, "on meta")
    for rank in ranks:
        assert rank["before"] == {"meta"}
        assert rank["empty"] == ["extra"]
        assert rank["left"] == []
        assert (rank["distinct"], rank["extra"]) == (4, 4)  # no shard repeats another one
        assert rank["padding"] == [0, 0]
        assert "reset_parameters" in rank["message"]
        torch.testing.assert_close(rank["state"], ranks[0]["state"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong class", "got 'Blok'; did you mean 'Block'"),
        ("wrong mesh", "mesh must have as many ranks as the run, got (3, 2) in a run of 4"),
        ("wrong dimensions", "mesh must have 2 dimensions with sharding_strategy='HYBRID_SHARD'"),
        ("two meanings", "reshard_after_forward must be True with sharding_strategy='FULL_SHARD'"),
        ("mesh and group", "process_group must be None with mesh"),
        ("wrong dtype", "param_dtype of mixed_precision must be a floating-point type"),
        ("wrong argument", "reshard_after"),
        ("wrong policy argument", "auto_wrap_policy of type 'last_blocks'"),
    ],
)
def test_wrong_sharding_raises_with_the_way_out(results: Results, name: str, message: str) -> None:
    for rank in case(results, name):
        assert message in rank["message"]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (True, TypeError, "an integer, a dict or classes, got True"),
        (0, ValueError, "must be an integer >= 1, got 0"),
        ([], ValueError, r"names of modules, names of classes or classes, got \[\]"),
        ([3], ValueError, "names of classes or classes, got 3"),
        (nn.LSTM, ValueError, "must name modules of Sequential, got 'LSTM'.*classes Sequential"),
        (["Linar"], ValueError, "got 'Linar'; did you mean 'Linear'"),
    ],
    ids=["bool", "zero", "empty", "number", "class", "misspelled"],
)
def test_policy_of_the_wrong_kind_raises(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrap_policy(value, nn.Sequential(nn.Linear(1, 1)))


@pytest.mark.parametrize(
    ("mesh", "error"),
    [
        (True, TypeError),
        ("22", TypeError),
        ((2.0, 2), TypeError),
        ((1, 2, 2), ValueError),
        ((0, 2), ValueError),
        ((-1, -1), ValueError),
    ],
    ids=str,
)
def test_mesh_of_the_wrong_shape_raises(mesh: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="mesh must be a DeviceMesh or one or two integers"):
        mesh_shape(mesh)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reshard_after_forward": "no"}, "reshard_after_forward must be a bool or an integer"),
        ({"auto_wrap_policy": False}, "auto_wrap_policy must be a policy, names, classes"),
        ({"mixed_precision": {"cast_forward_inputs": 1}}, "cast_forward_inputs .* True or False"),
        ({"mixed_precision": {"param_type": "float16"}}, "did you mean 'param_dtype'"),
        ({"sharding_strategy": "FULLSHARD"}, "did you mean 'FULL_SHARD'"),
        ({"auto_wrap_policy": -5}, "an integer >= 1, got -5"),
        ({"auto_wrap_policy": 1.5}, "an integer >= 1, got 1.5"),
        ({"auto_wrap_policy": []}, "must name at least one class or module"),
        ({"sharding_strategy": "HYBRID_SHARD", "mesh": 4}, "mesh must have 2 dimensions"),
        (
            {"sharding_strategy": "FULL_SHARD", "reshard_after_forward": False},
            "reshard_after_forward must be True",
        ),
    ],
    ids=lambda value: "-".join(map(str, value.items())) if isinstance(value, dict) else None,
)
def test_sharding_is_checked_without_ranks(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        check_sharding(**options)


def test_anomalous_parameters_of_an_own_step_raise(tmp_path: Path) -> None:
    class OwnStep(nn.Linear):
        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
            return {}

    assert has_own_step(OwnStep(1, 1))
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        with pytest.raises(ValueError, match="must be False for a model with its own train_step"):
            MMDistributedDataParallel(OwnStep(1, 1), detect_anomalous_params=True)
    finally:
        torch.distributed.destroy_process_group()
