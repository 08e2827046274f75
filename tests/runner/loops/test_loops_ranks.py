"""Limits, sets and validation losses over two ranks."""

from typing import Any

import pytest

RankResults = dict[str, list[dict[str, Any]]]

FILE = "loop_cases.py"


def _mean_square(*values: int) -> float:
    return sum(value**2 for value in values) / len(values)


EVALUATIONS = {
    "losses": list(range(11)),
    "few": [0],
    "unequal": [0],
    "limited": list(range(8)),  # two batches of two samples on each rank
}


@pytest.mark.parametrize("case", EVALUATIONS)
def test_losses_over_ranks_count_each_sample_once(rank_results: RankResults, case: str) -> None:
    seen = EVALUATIONS[case]

    for results in rank_results[FILE]:
        mean = pytest.approx(_mean_square(*seen), rel=1e-6)
        assert results[case] == {"seen": seen, "loss_square": mean, "loss": mean}


def test_sets_over_ranks_count_each_sample_once(rank_results: RankResults) -> None:
    for results in rank_results[FILE]:
        assert results["sets"] == {"a/seen": [0, 1, 2], "b/seen": [0, 1, 2, 3, 4]}


def test_limited_ranks_train_on_other_samples_and_resume(rank_results: RankResults) -> None:
    for rank, results in enumerate(rank_results[FILE]):
        first, second = [[rank, rank + 2], [rank + 4, rank + 6]]
        assert results["train"] == {
            "samples": [first, second, first, second],
            "iter": 4,
            "max_iters": 4,
        }


def test_last_window_of_unknown_length_has_the_gradients_of_all_ranks(
    rank_results: RankResults,
) -> None:
    weight = 1.0
    for samples in ([0, 1, 3, 4], [2, 5]):
        weight -= 0.01 * 2 * weight * _mean_square(*samples)
    for rank in rank_results[FILE]:
        assert rank["window"]["weight"] == pytest.approx(weight)
