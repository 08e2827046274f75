"""Two ranks that are asked to stop, of which one fails, or whose launcher is killed."""

from typing import Any

import pytest

RankResults = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("point", "ends"),
    [
        ("before the first", ["SystemExit(143)"] * 2),
        ("iteration", ["SystemExit(143)"] * 2),
        ("last of an epoch", ["SystemExit(143)"] * 2),
        ("between epochs", ["SystemExit(143)"] * 2),
        ("checkpoint", ["SystemExit(143)"] * 2),
        ("validation", ["SystemExit(143)"] * 2),
        ("last of a validation", ["SystemExit(143)"] * 2),
        ("metrics", ["SystemExit(143)"] * 2),
        ("last", ["SystemExit(143)"] * 2),
        ("end", ["SystemExit(143)"] * 2),
        ("SIGHUP", ["SystemExit(129)"] * 2),
        ("SIGINT", ["KeyboardInterrupt()"] * 2),
    ],
)
def test_signal_on_one_rank_stops_both_and_loses_nothing(
    rank_results: RankResults, point: str, ends: list[str]
) -> None:
    for results in rank_results["stop_cases.py"]:
        found, whole = results["stops"][point], results["stops"]["whole"]
        assert found["ends"] == ends
        assert found["weights"] == [whole, whole]
        assert found["validations"] == 2


def test_rank_that_fails_ends_the_other_with_its_error(rank_results: RankResults) -> None:
    for results in rank_results["stop_cases.py"]:
        assert results["fails"] == [
            "RankLost('the run failed: rank 1 died of ZeroDivisionError: bad sample 7')",
            "ZeroDivisionError('bad sample 7')",
        ]
