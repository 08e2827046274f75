"""Checkpoints of several ranks in other storages."""

from typing import Any

RankResults = dict[str, list[dict[str, Any]]]


def test_ranks_resume_together_from_a_storage(rank_results: RankResults) -> None:
    for results in rank_results["storage_cases.py"]:
        assert results["resume"] == [2, True]


def test_ranks_raise_together_if_the_storage_does_not_answer(rank_results: RankResults) -> None:
    for results in rank_results["storage_cases.py"]:
        assert results["fail"] == [["CheckpointError", True], ["SettingsError", True]]


def test_ranks_raise_together_if_one_cannot_write_its_shards(rank_results: RankResults) -> None:
    for results in rank_results["storage_cases.py"]:
        assert "on rank 1, out_dir of CheckpointHook must be writable" in results["fail_on_one"]
        assert "half://runs/half/.engine-storage-test is not mounted" in results["fail_on_one"]
