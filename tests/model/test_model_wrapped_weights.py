"""Weights of wrapped models in two real processes: train, save and load them."""

from typing import Any

import pytest
import torch

Results = list[dict[str, Any]]


@pytest.fixture
def results(rank_results: dict[str, Results]) -> Results:
    return rank_results["weights_ranks.py"]


def case(results: Results, name: str) -> Results:
    for rank, result in enumerate(results):
        assert not isinstance(result[name], str), f"rank {rank}: {result[name]}"
    return [result[name] for result in results]


@pytest.mark.slow
@pytest.mark.parametrize("counts", [1, 3], ids=["each step", "accumulated"])
@pytest.mark.parametrize("kind", ["distributed", "separate", "sharded", "sharded in units"])
def test_training_on_two_ranks_by_an_optimizer_wrapper_equals_training_on_one(
    results: Results, kind: str, counts: int
) -> None:
    for rank in case(results, f"{kind}, {counts}"):
        assert list(rank["weights"]) == list(rank["wanted"])
        torch.testing.assert_close(rank["weights"], rank["wanted"], check_device=False)


def test_weights_pass_between_whole_and_sharded_models(results: Results) -> None:
    for rank in case(results, "exchanged"):
        for weights in rank["all"]:
            assert list(weights) == list(rank["wanted"])
            assert all(map(torch.equal, weights.values(), rank["wanted"].values()))


def test_saving_sharded_weights_raises(results: Results) -> None:
    for rank in case(results, "exchanged"):
        assert "tensors must not be sharded, got 8 sharded: " in rank["error"]
        assert "state_dict.conv.weight, " in rank["error"]


def test_weights_of_another_shape_are_reported_by_a_sharded_model(results: Results) -> None:
    for rank in case(results, "misfit"):
        assert rank["mismatched"] == {"head.weight": ((3, 4), (2, 4))}
        assert not rank["fits"]
        assert rank["errors"] == []


@pytest.mark.parametrize("name", ["averaged whole", "averaged sharded", "averaged copy"])
def test_averages_follow_a_sharded_model(results: Results, name: str) -> None:
    for rank in case(results, name):
        torch.testing.assert_close(rank["weights"], rank["wanted"])
        assert rank["sharded"] == (name != "averaged whole")


def test_average_of_a_sharded_model_has_no_forward(results: Results) -> None:
    assert [rank["error"] for rank in case(results, "averaged sharded")] == ["False"] * 2
    for rank in case(results, "averaged copy"):
        assert "of a sharded model has no forward" in rank["error"]


def test_sharded_model_supports_test_time_augmentation(results: Results) -> None:
    assert [rank["same"] for rank in case(results, "augmented")] == [True, True]


def test_wrappers_validate_and_test_by_the_steps_of_the_model(results: Results) -> None:
    for rank in case(results, "steps of the model"):
        assert rank["steps"] == [("own val_step", "own test_step")] * 3
