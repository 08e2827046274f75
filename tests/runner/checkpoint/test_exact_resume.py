"""A run that is interrupted anywhere and resumed ends as one that was never interrupted."""

import runpy
from pathlib import Path
from typing import Any

import pytest

RankResults = dict[str, list[dict[str, Any]]]

FILE = Path(__file__).with_name("resume_cases.py")
CASES = runpy.run_path(str(FILE))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("ignore")  # of features that are drawn, such as a schedule that ends
def test_resumed_run_equals_the_uninterrupted_one(seed: int, tmp_path: Path) -> None:
    draw = CASES["Draw"](seed, tmp_path)

    assert CASES["found_differences"](draw) == [], draw.describe()


@pytest.mark.parametrize("case", CASES["CASES"])
def test_resumed_run_of_two_ranks_equals_the_uninterrupted_one(
    rank_results: RankResults, case: str
) -> None:
    assert [results[case] for results in rank_results[FILE.name]] == [[], []]
