"""What several processes do together."""

from typing import Any

RankResults = dict[str, list[dict[str, Any]]]


def test_checkpoint_of_ranks_holds_the_mean_of_their_statistics(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["save"] == [5.0, 2]


def test_validation_over_ranks_counts_each_sample_once(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["validate"] == list(range(11))


def test_sharded_run_resumes_as_if_it_had_not_stopped(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["shard"] == {
            "resumed": True,
            "saved": True,
            "moments": [[8, 3], [8], [1, 8], [1]],
        }


def test_ranks_resume_inside_an_accumulation_window(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        expected = {"equal": True, "frozen": True, "calls": 2, "gradients": 3}
        assert results["accumulate"] == expected
