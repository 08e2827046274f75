"""Limits, sets and validation losses over two ranks."""

import re
from itertools import chain
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


SHARES = {
    "shuffled": (7, 4, True),
    "subset": (5, 3, True),
    "early": (7, 4, True),
    "wrapped": (6, 3, False),
    "torch": (7, 4, True),
    "batches": (5, 3, False),
    "stream": (6, 3, False),
    "workers": (6, 3, False),
}


@pytest.mark.parametrize("name", SHARES)
def test_loader_by_hand_is_divided_among_ranks_and_resumes(
    rank_results: RankResults, name: str
) -> None:
    distinct, per_rank, shuffles = SHARES[name]
    ranks = [results["by_hand"][name] for results in rank_results[FILE]]

    epochs: list[list[list[float]]] = []
    for rank in ranks:
        whole = rank["whole"]
        assert rank["cut"] + rank["resumed"] == whole
        size = len(whole) // 3
        parts = [whole[start : start + size] for start in (0, size, 2 * size)]
        epochs.append([list(chain.from_iterable(part)) for part in parts])
    for one, other in zip(*epochs, strict=True):
        assert len(one) == len(other) == per_rank
        assert len({*one, *other}) == distinct
    assert (epochs[0][0] != epochs[0][1]) == shuffles


def test_loader_by_hand_is_evaluated_once_per_sample_over_ranks(rank_results: RankResults) -> None:
    for results in rank_results[FILE]:
        seen = {name: sorted(found) for name, found in results["by_hand_evaluated"].items()}
        assert seen == {
            "plain": [*range(7)],
            "shuffled": [*range(7)],
            "workers": [*range(5)],
            "subset": [1, 3, 5],
            "twice": [0, 0, 0],
            "torch": [*range(5)],
            "stream": [*range(7)],
        }


@pytest.mark.parametrize("mode", ["train", "val"])
@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("sampler", "got a Backwards without .*DistributedSamplerWrapper"),
        ("batch_sampler", "got a list without .*build the batch sampler on"),
        ("stream", "got a Numbers without .*ShardedStream"),
        ("list", "got a list without .*batch_size=None"),
        ("ranks", "got a DistributedSampler for 3"),
    ],
)
def test_data_that_is_not_divided_among_ranks_raises_with_the_way_out(
    rank_results: RankResults, mode: str, name: str, way_out: str
) -> None:
    for results in rank_results[FILE]:
        message = results["refused"][f"{mode}-{name}"]
        assert message.startswith(f"{mode}_dataloader must divide its samples among 2 ranks")
        assert re.search(way_out, message)
