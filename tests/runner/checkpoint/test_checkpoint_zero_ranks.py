"""Ranks that divide the state of their optimizer, and resume."""

from typing import Any

import pytest

RankResults = dict[str, list[dict[str, Any]]]


def test_divided_state_trains_and_resumes_like_a_whole_one(rank_results: RankResults) -> None:
    first, second = (results["resume"] for results in rank_results["zero_cases.py"])

    assert first["zero"] == pytest.approx(first["plain"], abs=1e-6)
    assert first["resumed"] == first["zero"] == second["resumed"]
    assert first["part"] + second["part"] == first["whole"] == 4
    assert first["part"] > 0
    assert second["part"] > 0
