"""Merge the results of all ranks in the order of the dataset, without padding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RankResults:
    """The results of one rank, and the samples that they belong to, if known.

    Attributes:
        results: The results in the order in which they were computed.
        indices: The sample index of each result; None if results do not belong to one sample each.
        free_of_padding: Whether padding was removed before the results were computed.

    Example:
        >>> first = RankResults(results=["c", "a"], indices=[2, 0])
        >>> merge_results([first, RankResults(results=["b", "c"], indices=[1, 2])], size=3)
        ['a', 'b', 'c']
    """

    results: list[Any]
    indices: list[int] | None = None
    free_of_padding: bool = False


def merge_results(parts: Sequence[RankResults], size: int | None) -> list[Any]:
    """Merge the results of all ranks into one list.

    Results with indices are sorted by index. If there are more than ``size``, results that repeat a
    sample are dropped. Results without indices are taken from the ranks in turn, as samplers assign
    samples. They are cut to ``size`` unless they are free of padding.

    Args:
        parts: The results of each rank, in the order of the ranks.
        size: The number of results without padding; None to keep all.
    """
    if all(part.indices is not None for part in parts):
        return _by_sample(parts, size)
    absent = object()  # not None, which may be a result
    rounds = zip_longest(*(part.results for part in parts), fillvalue=absent)
    results = [result for result in chain.from_iterable(rounds) if result is not absent]
    return results if all(part.free_of_padding for part in parts) else results[:size]


def _by_sample(parts: Sequence[RankResults], size: int | None) -> list[Any]:
    pairs = chain.from_iterable(
        zip(part.indices or [], part.results, strict=True) for part in parts
    )
    # Sort by index only: results need not be comparable.
    found = sorted(pairs, key=lambda pair: pair[0])
    # Drop repeated samples only if there are too many: a dataset may contain a sample twice on
    # purpose.
    if size is not None and len(found) > size:
        found = list(_first_of_each(found))[:size]
    return [result for _, result in found]


def _first_of_each(pairs: Iterable[tuple[int, Any]]) -> Iterable[tuple[int, Any]]:
    last = None
    for index, result in pairs:
        if index != last:
            yield index, result
        last = index


def check_indices(parts: Sequence[RankResults], size: int) -> None:
    """Raise unless the indices of all ranks together are 0 to ``size - 1``."""
    given = set(chain.from_iterable(part.indices or [] for part in parts))
    if given != set(range(size)):
        missing = sorted(set(range(size)) - given)[:5]
        extra = sorted(given - set(range(size)))[:5]
        raise ValueError(
            f"the indices of all ranks must cover 0 to {size - 1}: "
            f"missing {missing or 'none'}, beyond the end {extra or 'none'}"
        )
