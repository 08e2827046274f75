"""Merge the results of ranks, for any number of ranks and any order."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from engine_dist import RankResults, merge_results

_Size = st.integers(1, 20)
_World = st.integers(1, 6)


def _dealt(order: list[int], world_size: int, *, pad: bool) -> list[list[int]]:
    """Deals samples to ranks in turn, as samplers do; padding repeats the front of the order."""
    missing = -len(order) % world_size if pad else 0
    padded = order + [order[position % len(order)] for position in range(missing)]
    return [padded[rank::world_size] for rank in range(world_size)]


def _part(indices: list[int], *, known: bool, clean: bool) -> RankResults:
    results = [f"result {index}" for index in indices]
    return RankResults(results=results, indices=indices if known else None, free_of_padding=clean)


def _expected(size: int) -> list[str]:
    return [f"result {index}" for index in range(size)]


@given(_Size, _World, st.booleans(), st.randoms())
def test_merge_with_indices_returns_each_sample_once_in_order(
    size: int, world_size: int, pad: bool, random: Random
) -> None:
    order = list(range(size))
    random.shuffle(order)
    parts = [_part(rank, known=True, clean=False) for rank in _dealt(order, world_size, pad=pad)]
    assert merge_results(parts, size) == _expected(size)


@given(_Size, _World, st.booleans())
def test_merge_without_indices_interleaves_and_cuts_to_size(
    size: int, world_size: int, pad: bool
) -> None:
    dealt = _dealt(list(range(size)), world_size, pad=pad)
    parts = [_part(rank, known=False, clean=False) for rank in dealt]
    assert merge_results(parts, size) == _expected(size)


@given(_Size, _World)
def test_merge_does_not_cut_results_free_of_padding(size: int, world_size: int) -> None:
    dealt = _dealt(list(range(size)), world_size, pad=False)
    parts = [_part(rank + rank, known=False, clean=True) for rank in dealt]
    assert sorted(merge_results(parts, size)) == sorted(2 * _expected(size))


def test_merge_keeps_repeated_samples_that_fit_the_size() -> None:
    parts = [_part([1, 0, 1], known=True, clean=True)]
    assert (
        merge_results(parts, 3)
        == merge_results(parts, None)
        == ["result 0", "result 1", "result 1"]
    )


def test_merge_ignores_indices_if_one_rank_has_none() -> None:
    parts = [_part([0], known=True, clean=True), _part([1, 1], known=False, clean=False)]
    assert merge_results(parts, 2) == ["result 0", "result 1"]
