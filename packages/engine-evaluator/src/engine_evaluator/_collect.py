"""Results of all ranks, put together exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

_NOTHING = object()


@dataclass(frozen=True, kw_only=True)
class RankResults:
    """What one rank found, and what it knows about where that came from.

    Attributes:
        results: In the order in which they were found.
        indices: The sample each result belongs to; ``None`` when results are not one a sample.
        free_of_padding: Whether padding was taken out before the results were made.
    """

    results: list[Any]
    indices: list[int] | None
    free_of_padding: bool


def merge(parts: Sequence[RankResults], size: int | None) -> list[Any]:
    """Puts the ranks' results into one list.

    Results of known samples are put in the order of the data set; of more than ``size``, those
    that repeat a sample are dropped. Other results are taken from the ranks in turn, as samplers
    deal samples out, and cut to ``size`` unless padding was taken out already.
    """
    if all(part.indices is not None for part in parts):
        return _by_sample(parts, size)
    dealt = zip_longest(*(part.results for part in parts), fillvalue=_NOTHING)
    results = [result for result in chain.from_iterable(dealt) if result is not _NOTHING]
    return results if all(part.free_of_padding for part in parts) else results[:size]


def _by_sample(parts: Sequence[RankResults], size: int | None) -> list[Any]:
    pairs = chain.from_iterable(
        zip(part.indices or [], part.results, strict=True) for part in parts
    )
    found = sorted(pairs, key=lambda pair: pair[0])
    if size is not None and len(found) > size:
        found = list(_first_of_each(found))[:size]
    return [result for _, result in found]


def _first_of_each(pairs: Iterable[tuple[int, Any]]) -> Iterable[tuple[int, Any]]:
    last = None
    for index, result in pairs:
        if index != last:
            yield index, result
        last = index
