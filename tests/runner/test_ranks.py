"""What several processes do together, under torchrun."""

from collections.abc import Callable

import pytest

OnTwoRanks = Callable[[str], str]


@pytest.mark.slow
def test_checkpoint_of_ranks_holds_the_mean_of_their_statistics(on_two_ranks: OnTwoRanks) -> None:
    output = on_two_ranks("ranks_save.py")

    for rank in range(2):
        assert f"rank {rank}: mean 5.0 after 2" in output


@pytest.mark.slow
def test_validation_over_ranks_counts_each_sample_once(on_two_ranks: OnTwoRanks) -> None:
    output = on_two_ranks("ranks_validate.py")

    for rank in range(2):
        assert f"rank {rank} of 2: 11 {list(range(11))}" in output


@pytest.mark.slow
def test_sharded_run_resumes_as_if_it_had_not_stopped(on_two_ranks: OnTwoRanks) -> None:
    output = on_two_ranks("ranks_shard.py")

    for rank in range(2):
        moments = "moments [(8, 3), (8,), (1, 8), (1,)]"
        assert f"rank {rank}: resumed True, saved True, {moments}" in output
