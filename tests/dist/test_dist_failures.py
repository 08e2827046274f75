"""A rank is lost: the others end within the timeout with an error that names it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ranks = Callable[[str], tuple[Path, dict[str, Any]]]


MESSAGES = {
    "error": (2, "all_reduce failed: rank 2 died of ValueError: bad sample 7"),
    "killed": (1, "rank 1 no longer answers: last heard of "),
    "left": (2, "backward failed: rank 2 left: it ended early"),
    "late": (1, "rank 1 did not arrive: it is in no collective"),
    "frozen": (1, "rank 1 no longer answers: last heard of "),
    "outside": (2, "rank 2 died of ValueError: bad sample 7"),
    "first": (0, "rank 0 no longer answers"),
    "store": (0, "rank 0 is gone, and the group's store with it"),
    "store-error": (0, "rank 0 died of ValueError: bad sample 7"),
    "store-frozen": (0, "rank 0 no longer answers, nor does the group's store, which it holds"),
    "beside-store": (1, "rank 1 no longer answers"),
    "absent": (1, "init_dist failed: rank 1 never joined: it did not call init_dist"),
    "absent-beside-store": (2, "init_dist failed: rank 2 never joined: it did not call init_dist"),
    "absent-with-store": (0, "init_dist failed: rank 0 is not there: the store at 127.0.0.1:"),
    "silent-error": (2, "all_reduce failed: rank 2 died of ValueError: bad sample 7"),
    "silent-killed": (1, "collect_results failed: rank 1 reported nothing: it was killed, is"),
    "silent-absent": (1, "init_dist failed: rank 1 never joined: it did not call init_dist"),
    "silent-store": (0, "rank 0 is gone, and the group's store with it"),
}
COLLECTIVES = (
    "all_gather",
    "all_gather_object",
    "all_reduce",
    "all_reduce_dict",
    "all_reduce_params",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "collect_results",
    "gather",
    "gather_object",
    "new_group",
    "sync_random_seed",
)


def blamed(survivor: Any) -> set[int]:
    """List the ranks that the last error of a rank names."""
    error = survivor.output[survivor.output.rindex("RankLost: ") :].splitlines()[0]
    return {int(rank) for rank in re.findall(r"(?:failed: |; )rank (\d+) ", error)}


@pytest.mark.slow
@pytest.mark.parametrize(("case", "missing", "message"), [(k, *v) for k, v in MESSAGES.items()])
def test_lost_rank_is_named_by_the_others(
    ranks: Ranks, case: str, missing: int, message: str
) -> None:
    _, ended = ranks("failures")

    for rank in {0, 1, 2} - {missing}:
        survivor = ended[f"{case}_{rank}"]
        assert survivor.end == 1, f"rank {rank} ended by {survivor.end}:\n{survivor.output}"
        assert message in survivor.output
        if case != "outside":  # whose own error goes first
            assert blamed(survivor) == {missing}


@pytest.mark.slow
@pytest.mark.parametrize("collective", COLLECTIVES)
def test_rank_killed_in_a_collective_is_named(ranks: Ranks, collective: str) -> None:
    _, ended = ranks("failures")

    survivor = ended[f"{collective}_0"]
    assert survivor.end == 1, f"rank 0 ended by {survivor.end}:\n{survivor.output}"
    assert blamed(survivor) == {1}, survivor.output


@pytest.mark.slow
def test_frozen_rank_is_logged_before_the_timeout(ranks: Ranks) -> None:
    _, ended = ranks("failures")

    for rank in (0, 2):
        assert "collectives that wait for it will time out" in ended[f"frozen_{rank}"].output
