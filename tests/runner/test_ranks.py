"""What several processes do together."""

from typing import Any

RankResults = dict[str, list[dict[str, Any]]]


def test_checkpoint_of_ranks_holds_the_mean_of_their_statistics(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["save"] == [5.0, 2]


def test_ranks_publish_one_copy_or_raise_together(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        [[plain, copy], failures], lost = results["publish"]
        assert (plain, copy[:8], len(copy), failures) == ("epoch_2", "epoch_2-", 16, 0)
        assert lost == [[], 1]


def test_ranks_draw_apart_only_where_they_are_asked_to(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["seeds"] == [True, False]


def test_augmented_test_over_ranks_goes_through_the_wrapper(rank_results: RankResults) -> None:
    merged = [2 * number + 10 for number in range(7)]
    for results in rank_results["rank_cases.py"]:
        assert results["augment"] == ["MMDistributedDataParallel", merged]


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


def test_ranks_agree_on_a_save_in_the_background_that_fails(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["in_background"] == [True, "epoch_1.pth", ["epoch_1.pth"]]
