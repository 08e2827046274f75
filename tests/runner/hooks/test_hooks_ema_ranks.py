"""`EMAHook` in runs of two processes, with replicated and with sharded models."""

from typing import Any

import pytest

FACTS = ("resumed", "unaffected", "average", "saved", "validated", "equal_ranks", "moved")


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("kind", ["ddp", "ddp-buffers", "fsdp", "fsdp-buffers"])
def test_average_on_two_ranks_keeps_its_promises(
    rank_results: dict[str, list[dict[str, Any]]], kind: str, fact: str
) -> None:
    for rank in rank_results["ema_cases.py"]:
        assert isinstance(rank[kind], dict), rank[kind]
        assert rank[kind][fact] is True


@pytest.mark.parametrize("kind", ["ddp", "ddp-buffers", "fsdp", "fsdp-buffers"])
def test_checkpoint_has_the_statistics_of_all_ranks(
    rank_results: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    # Rank 0 reads -4, -2, 0, 2 and rank 1 the others: the means of the ranks are -1 and 0.
    for rank in rank_results["ema_cases.py"]:
        assert rank[kind]["steps"] == 6
        assert -0.5 < rank[kind]["mean"] < -0.1


@pytest.mark.parametrize("kind", ["swa", "swa-fsdp"])
def test_mean_of_weights_on_two_ranks_equals_one_by_hand(
    rank_results: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    for rank in rank_results["ema_cases.py"]:
        # The statistics are those of the data of all ranks.
        assert rank[kind] == {
            "mean": -0.5,
            "saved_mean": -0.5,
            "by_hand": True,
            "resumed": True,
            "unaffected": True,
            "beside": True,
        }
