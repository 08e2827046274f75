"""What the measuring hooks, and the search for a learning rate, do on several ranks."""

from typing import Any

import pytest

RankResults = dict[str, list[dict[str, Any]]]


@pytest.fixture
def results(rank_results: RankResults) -> list[dict[str, Any]]:
    """Return the results of both ranks."""
    return rank_results["measure_cases.py"]


def test_each_rank_writes_its_trace(results: list[dict[str, Any]]) -> None:
    for rank in results:
        assert rank["profile"] == [["t_rank0.json", "t_rank1.json"], True, 4]


def test_throughput_adds_up_the_ranks_and_counts_operations(results: list[dict[str, Any]]) -> None:
    # Per sample forward 2 * (3 * 4 + 4 * 1), backward the same for weights, and 2 * 4 for the head.
    for rank in results:
        assert rank["throughput"] == [32 + 32 + 8, 32 + 32 + 8, 3.0]


def test_norms_of_sharded_gradients_are_those_of_whole_ones(results: list[dict[str, Any]]) -> None:
    for rank in results:
        norms = rank["norms"]
        assert norms["DDPStrategy"] == pytest.approx(norms["whole"], rel=1e-5)
        assert norms["FSDPStrategy"] == pytest.approx(norms["whole"], rel=1e-5)


def test_learning_rate_scales_to_the_samples_of_all_ranks(results: list[dict[str, Any]]) -> None:
    for rank in results:
        assert rank["scale"] == [pytest.approx(0.1 * 4 / 16)]


def test_search_for_a_rate_agrees_and_leaves_the_ranks_as_they_were(
    results: list[dict[str, Any]],
) -> None:
    first, second = (rank["search"] for rank in results)

    assert first == second
    for losses, weights_kept, optimizer_states in first.values():
        assert len(losses) == 8
        assert weights_kept
        assert optimizer_states == 0
    assert first["DDPStrategy"][0] == pytest.approx(first["FSDPStrategy"][0], rel=1e-4)
