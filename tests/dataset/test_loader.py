"""ResumableDataLoader: the position in the stream of samples."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from engine_dataset import BatchLayout, DefaultSampler, InfiniteSampler, ResumableDataLoader

Loader = ResumableDataLoader[Any]
Make = Callable[..., Loader]
SIZE = 23


class Indices(Dataset[int]):
    """A dataset whose samples are their indices, and that records the indices that were read."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        self.read.append(index)
        return index


class Pairs(Sampler[list[int]]):
    """A batch sampler that separates odd and even samples."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from ([one, one + 2] for one in (0, 1, 4, 5, 8, 9))

    def __len__(self) -> int:
        return 6


def _values(batches: Iterable[Any]) -> list[Any]:
    return [torch.as_tensor(batch).tolist() for batch in batches]


MAKERS: dict[str, Make] = {
    "default": lambda **options: ResumableDataLoader(
        Indices(), 4, sampler=DefaultSampler(Indices(), seed=5), **options
    ),
    "in-order": lambda **options: ResumableDataLoader(Indices(), 4, **options),
    "shuffle": lambda **options: ResumableDataLoader(Indices(), 4, shuffle=True, **options),
    "generator": lambda **options: ResumableDataLoader(
        Indices(), 4, shuffle=True, generator=torch.Generator().manual_seed(2), **options
    ),
    "weighted": lambda **options: ResumableDataLoader(
        Indices(), 4, sampler=WeightedRandomSampler([1.0] * SIZE, 30), **options
    ),
    "subset": lambda **options: ResumableDataLoader(
        Indices(), 4, sampler=SubsetRandomSampler(range(20)), **options
    ),
    "drop-last": lambda **options: ResumableDataLoader(
        Indices(), 4, drop_last=True, sampler=DefaultSampler(Indices(), seed=5), **options
    ),
    "batch-sampler": lambda **options: ResumableDataLoader(
        Indices(), batch_sampler=Pairs(), **options
    ),
    "nested-batch-sampler": lambda **options: ResumableDataLoader(
        Indices(), batch_sampler=BatchSampler(RandomSampler(Indices()), 3, False), **options
    ),
    "single": lambda **options: ResumableDataLoader(
        Indices(), None, sampler=DefaultSampler(Indices(), seed=5), **options
    ),
    "iterable": lambda **options: ResumableDataLoader(Stream(), 4, **options),
}


class Stream(IterableDataset[int]):
    """Samples without indices."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(SIZE))


Kinds = pytest.mark.parametrize("kind", MAKERS)


@Kinds
def test_loader_resumes_at_the_next_batch(kind: str) -> None:
    loader = MAKERS[kind]()
    batches = iter(loader)
    past = _values(islice(batches, 3))
    state = loader.state_dict()
    future = _values(batches)
    resumed = MAKERS[kind]()
    resumed.load_state_dict(state)
    assert resumed.batches_consumed == 3
    assert _values(resumed) == future
    assert past
    assert future
    assert _values(resumed) == _values(loader)  # the next epoch is the same as well


@Kinds
def test_loader_resumes_in_a_later_epoch(kind: str) -> None:
    loader = MAKERS[kind]()
    for _ in range(2):
        list(loader)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    resumed = MAKERS[kind]()
    resumed.load_state_dict(state)
    assert _values(resumed) == _values(batches)


@pytest.mark.parametrize("workers", [(0, 2), (2, 0), (1, 2)], ids=str)
@pytest.mark.parametrize("kind", ["default", "generator"])
def test_loader_resumes_with_other_workers(kind: str, workers: tuple[int, int]) -> None:
    before, after = workers
    loader = MAKERS[kind](num_workers=before)
    batches = iter(loader)
    past = _values(islice(batches, 2))
    state = loader.state_dict()
    resumed = MAKERS[kind](num_workers=after)
    resumed.load_state_dict(state)
    future = _values(resumed)
    assert sorted(index for batch in past + future for index in batch) == list(range(SIZE))
    assert future == _values(batches)


def test_loader_resumes_with_persistent_workers() -> None:
    loader = MAKERS["default"](num_workers=1, persistent_workers=True)
    first = _values(loader)
    next(iter(loader))
    loader.load_state_dict(loader.state_dict())
    assert _values(loader) == first[1:]
    assert _values(loader) == first


def test_resuming_does_not_load_past_samples() -> None:
    def make() -> tuple[Indices, Loader]:
        dataset = Indices()
        sampler = DefaultSampler(dataset, seed=1)
        return dataset, ResumableDataLoader(dataset, 4, sampler=sampler)

    dataset, loader = make()
    list(islice(loader, 3))
    other, resumed = make()
    resumed.load_state_dict(loader.state_dict())
    list(resumed)
    assert sorted(dataset.read + other.read) == list(range(SIZE))


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5))
def test_interrupted_infinite_run_equals_an_uninterrupted_one(legs: list[int], size: int) -> None:
    def make() -> Loader:
        dataset = Indices(7)
        return ResumableDataLoader(dataset, size, sampler=InfiniteSampler(dataset, seed=3))

    expected = _values(islice(make(), sum(legs)))
    found: list[Any] = []
    state = None
    for leg in legs:
        loader = make()
        if state is not None:
            loader.load_state_dict(state)
        found += _values(islice(loader, leg))
        state = loader.state_dict()
    assert found == expected


def test_infinite_loader_continues_after_the_last_consumed_batch() -> None:
    dataset = Indices(10)
    sampler = InfiniteSampler(dataset, shuffle=False)
    loader: Loader = ResumableDataLoader(dataset, 2, sampler=sampler, num_workers=2)
    assert _values(islice(loader, 2)) == [[0, 1], [2, 3]]
    assert loader.batches_consumed == 2
    assert _values(islice(loader, 4)) == [[4, 5], [6, 7], [8, 9], [0, 1]]
    assert loader.batches_consumed == 6
    assert len(loader) == 5


def test_position_counts_what_the_trainer_received() -> None:
    loader = MAKERS["default"](num_workers=2)
    assert loader.batches_consumed == 0
    seen = []
    for _ in loader:
        seen.append(loader.batches_consumed)
        assert loader.state_dict()["batches"] == len(seen)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert loader.batches_consumed == 0
    assert len(loader) == 6


def test_iterator_has_the_length_of_the_epoch() -> None:
    loader = MAKERS["default"]()
    list(islice(loader, 2))
    loader.load_state_dict(loader.state_dict())
    assert len(iter(loader)) == len(loader) == 6  # type: ignore[arg-type] # torch's have one


def test_state_saved_at_the_last_batch_resumes_with_an_empty_epoch() -> None:
    loader = MAKERS["default"]()
    states = [loader.state_dict() for _ in loader]
    resumed = MAKERS["default"]()
    resumed.load_state_dict(states[-1])
    assert list(resumed) == []
    assert len(list(resumed)) == 6


def test_state_saved_after_the_epoch_starts_the_next() -> None:
    loader = MAKERS["generator"]()
    list(loader)
    resumed = MAKERS["generator"]()
    resumed.load_state_dict(loader.state_dict())
    assert _values(resumed) == _values(loader)


def test_state_loaded_but_not_used_is_saved_again() -> None:
    loader = MAKERS["default"]()
    list(islice(loader, 2))
    state = loader.state_dict()
    resumed = MAKERS["default"]()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state


def test_another_epoch_drops_the_position() -> None:
    loader = MAKERS["default"]()
    list(islice(loader, 2))
    resumed = MAKERS["default"]()
    resumed.load_state_dict(loader.state_dict())
    resumed.sampler.set_epoch(1)  # type: ignore[attr-defined] # a DefaultSampler
    assert len(list(resumed)) == 6


def test_state_holds_plain_values() -> None:
    for make in MAKERS.values():
        loader = make()
        next(iter(loader))
        _assert_plain(loader.state_dict())


def _assert_plain(value: Any) -> None:
    assert type(value) in (dict, int, str, bytes, bool, type(None)), value
    if isinstance(value, dict):
        for one in value.values():
            _assert_plain(one)


def test_state_restores_the_seed() -> None:
    loader: Loader = ResumableDataLoader(Indices(), 4, sampler=DefaultSampler(Indices(), seed=1))
    list(islice(loader, 2))
    other: Loader = ResumableDataLoader(Indices(), 4, sampler=DefaultSampler(Indices(), seed=2))
    other.load_state_dict(loader.state_dict())
    assert _values(other) == _values(loader)[2:]


@pytest.mark.parametrize(
    ("batch_size", "world_size", "start", "repeated"),
    [(2, 1, 8, 0), (4, 2, 2, 0), (8, 1, 2, 0), (5, 1, 3, 1)],
    ids=["smaller", "ranks", "larger", "uneven"],
)
def test_position_is_converted_to_another_batch_size(
    caplog: pytest.LogCaptureFixture, batch_size: int, world_size: int, start: int, repeated: int
) -> None:
    loader = MAKERS["default"]()
    list(islice(loader, 4))
    sampler = DefaultSampler(Indices(), seed=5)
    sampler.world_size = world_size
    other: Loader = ResumableDataLoader(Indices(), batch_size, sampler=sampler)
    with caplog.at_level(logging.WARNING, "engine.dataset"):
        other.load_state_dict(loader.state_dict())
    assert other.batches_consumed == start
    assert (f"the last {repeated} samples" in caplog.text) == bool(repeated)


def test_position_in_batches_of_unknown_size_is_converted_to_other_ranks() -> None:
    class Own(BatchSampler):
        """A batch sampler of the user's."""

    def make(world_size: int) -> Loader:
        sampler = DefaultSampler(Indices(), seed=5)
        sampler.world_size = world_size
        return ResumableDataLoader(Indices(), batch_sampler=Own(sampler, 2, False))

    loader, other = make(1), make(2)
    list(islice(loader, 4))

    other.load_state_dict(loader.state_dict())

    assert other.batches_consumed == 2


def test_subclass_replaces_the_order() -> None:
    class Backwards(ResumableDataLoader[Any]):
        def order_of(self, batches: Any, sampler: Any) -> Any:
            return [indices[::-1] for indices in batches]

    loader = Backwards(Indices(), 3)
    first = next(iter(loader))
    resumed = Backwards(Indices(), 3)
    resumed.load_state_dict(loader.state_dict())

    assert first.tolist() == [2, 1, 0]
    assert next(iter(resumed)).tolist() == [5, 4, 3]
    assert loader.layout == BatchLayout(batch_size=3)
    assert not loader.is_between_passes


@Kinds
def test_loader_yields_the_batches_of_torch(kind: str) -> None:
    loader = MAKERS[kind]()
    if kind not in ("default", "in-order", "drop-last", "batch-sampler", "single", "iterable"):
        assert len(_values(loader)) == len(loader)  # random, by a generator of its own
        return
    options: dict[str, Any] = {"batch_sampler": loader.batch_sampler}
    if kind in ("single", "iterable"):
        options = {"batch_size": loader.batch_size}
    if kind == "single":
        options["sampler"] = loader.sampler
    plain: DataLoader[Any] = DataLoader(loader.dataset, **options)
    assert _values(loader) == _values(plain)


def test_shuffled_order_does_not_depend_on_the_global_generator() -> None:
    loader = MAKERS["shuffle"]()
    batches = iter(loader)
    next(batches)
    resumed = MAKERS["shuffle"]()
    resumed.load_state_dict(loader.state_dict())
    torch.manual_seed(7)
    found = _values(resumed)
    torch.manual_seed(99)
    assert _values(batches) == found


def test_loader_with_in_order_false_raises_for_its_position() -> None:
    loader: Loader = ResumableDataLoader(Indices(), in_order=False)
    assert len(list(loader)) == SIZE
    with pytest.raises(ValueError, match=r"in_order must be True .* got False"):
        loader.state_dict()
    with pytest.raises(ValueError, match=r"in_order must be True .* got False"):
        loader.load_state_dict({})


def test_iterable_dataset_is_read_again_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    loader = MAKERS["iterable"]()
    list(islice(loader, 2))
    resumed = MAKERS["iterable"]()
    resumed.load_state_dict(loader.state_dict())
    with caplog.at_level(logging.WARNING, "engine.dataset"):
        assert next(iter(resumed)).tolist() == [8, 9, 10, 11]
    assert "2 batches are read again" in caplog.text
    assert resumed.batches_consumed == 3


def test_torch_draws_indices_from_the_index_sampler() -> None:
    # `_index_sampler` is torch's name; this test fails when it changes.
    plain: DataLoader[Any] = DataLoader(Indices(), sampler=SequentialSampler(Indices()))
    assert plain._index_sampler is plain.batch_sampler


@pytest.mark.parametrize("profiles", [False, True])
def test_batches_are_labelled_where_a_profiler_runs(profiles: bool) -> None:
    batches = iter(Loader(Indices(6), batch_size=2))
    first = next(batches)
    with profile(activities=[ProfilerActivity.CPU]) if profiles else nullcontext() as trace:
        rest = list(batches)
    assert torch.cat([first, *rest]).tolist() == [0, 1, 2, 3, 4, 5]
    labels = {event.name for event in trace.events()} if trace is not None else set()
    assert any(label.startswith("enumerate(DataLoader)") for label in labels) == profiles


def test_loader_works_with_an_iterator_that_has_only_the_public_methods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DataLoader, "_get_iterator", lambda self: iter([torch.ones(2)]))
    assert [batch.tolist() for batch in Loader(Indices(2), batch_size=2)] == [[1, 1]]
