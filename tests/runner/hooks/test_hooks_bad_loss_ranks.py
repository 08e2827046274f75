"""Bad losses of one of two ranks, and a limit of time that both must keep."""

from typing import Any

import pytest

Results = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize("kind", ["skip-ddp", "skip-fsdp", "rollback-ddp"])
def test_bad_loss_of_one_rank_is_left_out_on_all(rank_results: Results, kind: str) -> None:
    done = (
        ["steps left out", "1, for a bad loss"]
        if "skip" in kind
        else ["rolled back", "1 times; 1 batches passed over"]
    )
    for rank in rank_results["bad_loss_cases.py"]:
        assert rank[kind] == {
            "equal_ranks": True,
            "as_without": True,
            "rates": True,
            "summary": [done],
        }


def test_ranks_that_resume_within_a_bad_window_end_as_the_whole_run(rank_results: Results) -> None:
    for rank in rank_results["bad_loss_cases.py"]:
        assert rank["skip-window"] == {
            "equal_ranks": True,
            "as_without": True,
            "rates": True,
            "summary": [["steps left out", "2, for a bad loss"]],
        }


def test_ranks_return_together_after_a_training_too_short_for_a_scaler(
    rank_results: Results,
) -> None:
    for rank in rank_results["bad_loss_cases.py"]:
        assert rank["rollback-scaler"] == [
            [["rolled back", "1 times; 1 batches passed over"]],
            [["rolled back", "1 times; 1 batches passed over"]],
        ]


def test_limit_of_time_stops_all_ranks_at_one_iteration(rank_results: Results) -> None:
    for rank in rank_results["bad_loss_cases.py"]:
        facts = rank["max_time"]
        assert facts["code"] == 75
        first, second = facts["iterations"]
        assert first == second == facts["resumed"] > 1
