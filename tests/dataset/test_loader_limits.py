"""`ResumableDataLoader.limited`: passes that end after some batches."""

from collections.abc import Callable
from typing import Any

import pytest
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from engine_dataset import DefaultSampler, InfiniteSampler, ResumableDataLoader

Loader = ResumableDataLoader[Any]


def _loader(workers: int = 0, **options: Any) -> Loader:
    data: Any = range(10)
    sampler = options.pop("sampler", None) or DefaultSampler(data, shuffle=True, seed=1)
    return ResumableDataLoader(data, batch_size=2, sampler=sampler, num_workers=workers, **options)


def _lists(batches: Any) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 2])
def test_limited_pass_is_the_begin_of_a_whole_one(workers: int) -> None:
    whole = _lists(_loader())

    limited = _loader(workers).limited(3)

    assert _lists(limited) == whole[:3]
    assert (len(limited), limited.num_batch_per_epoch) == (3, 3)
    assert limited.batches_consumed == 0  # the pass is over


def test_limited_loader_leaves_the_other_as_it_is() -> None:
    loader = _loader()
    loader.limited(1)

    assert (len(loader), len(list(loader)), loader.num_batch_per_epoch) == (5, 5, None)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_limited_pass_resumes_at_its_next_batch(workers: int, at: int) -> None:
    whole = _lists(_loader().limited(3))
    first = _loader(workers).limited(3)
    batches = iter(first)
    for _ in range(at):
        next(batches)

    resumed = _loader(workers).limited(3)
    resumed.load_state_dict(first.state_dict())

    assert _lists(resumed) == whole[at:]
    assert len(list(resumed)) == 3  # the next pass


def test_position_beyond_a_lower_limit_yields_nothing() -> None:
    first = _loader()
    batches = iter(first)
    for _ in range(4):
        next(batches)

    resumed = _loader().limited(2)
    resumed.load_state_dict(first.state_dict())

    assert _lists(resumed) == []
    assert len(list(resumed)) == 2


def test_samplers_without_a_start_are_limited_too() -> None:
    loader = _loader(sampler=RandomSampler(range(10))).limited(2)

    assert [len(_lists(loader)) for _ in range(2)] == [2, 2]


class Stream(IterableDataset[int]):
    """Numbers without indices."""

    def __iter__(self) -> Any:
        return iter(range(10))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: _loader(sampler=InfiniteSampler(range(10))), "InfiniteSampler"),
        (lambda: ResumableDataLoader(Stream(), batch_size=2), "Stream"),
    ],
    ids=["endless", "stream"],
)
def test_passes_without_an_end_or_indices_take_no_limit(
    make: Callable[[], Loader], kind: str
) -> None:
    with pytest.raises(ValueError, match=f"must be left out .* got 2 with {kind}; use"):
        make().limited(2)


def test_workers_load_no_more_than_the_limit() -> None:
    loaded: list[int] = []

    class Noting(list[int]):
        def __getitem__(self, index: Any) -> Any:
            loaded.append(index)
            return index

    data: Any = Noting(range(10))
    loader: Loader = ResumableDataLoader(data, batch_size=2)
    list(loader.limited(2))

    assert loaded == [0, 1, 2, 3]
    assert isinstance(loader.limited(2), DataLoader)
