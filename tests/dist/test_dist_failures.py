"""A rank goes missing: the others end within the timeout with an error that names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ranks = Callable[[str], tuple[Path, dict[str, Any]]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "missing", "message"),
    [
        ("error", 2, "rank 2 died of ValueError: bad sample 7"),
        ("killed", 1, "rank 1 no longer answers: last heard of between collectives"),
        ("left", 2, "backward failed: rank 2 left: it ended early"),
        ("late", 1, "rank 1 did not arrive: it is in no collective"),
        ("frozen", 1, "rank 1 no longer answers: last heard of between collectives"),
        ("outside", 2, "rank 2 died of ValueError: bad sample 7"),
        ("first", 0, "rank 0 no longer answers"),
        ("store", 0, "rank 0 is gone, and the group's store with it"),
    ],
    ids=["error", "killed", "left", "late", "frozen", "outside", "first", "store"],
)
def test_lost_rank_is_named_by_the_others(
    ranks: Ranks, case: str, missing: int, message: str
) -> None:
    _, ended = ranks("failures")

    for rank in {0, 1, 2} - {missing}:
        survivor = ended[f"{case}_{rank}"]
        assert survivor.end == 1, f"rank {rank} ended by {survivor.end}:\n{survivor.output}"
        assert message in survivor.output


@pytest.mark.slow
def test_silent_rank_is_told_of_before_the_timeout(ranks: Ranks) -> None:
    _, ended = ranks("failures")

    for rank in (0, 2):
        assert "collectives that wait for it will time out" in ended[f"frozen_{rank}"].output
