"""Positions of loaders by hand: their order, and what a change of it means."""

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from engine_runner._by_hand import prepared
from engine_runner._run_loader import ReplayedOrder, RunLoader
from engine_runner.loops._layout import Layout
from engine_runner.loops._position import StatefulPosition


class Points(Dataset[int]):
    """Nine indices."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> int:
        return index


def test_loader_with_a_generator_has_the_order_of_torch() -> None:
    def make() -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(5)
        return DataLoader(range(9), 2, shuffle=True, generator=generator)  # type: ignore[arg-type]  # a range is a dataset, too

    ours, torchs = RunLoader(**_arguments(make())), make()

    for _ in range(2):
        assert [one.tolist() for one in ours] == [one.tolist() for one in torchs]


def _arguments(made: DataLoader[Any]) -> dict[str, Any]:
    return {
        "dataset": made.dataset,
        "batch_size": made.batch_size,
        "sampler": made.sampler,
        "generator": made.generator,
    }


class Shuffled(Points):
    """A sampler whose order is drawn from a global generator."""

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(9).tolist())


class Lists(Points):
    """A dataset that reads the samples of a batch at once."""

    def __getitems__(self, indices: list[int]) -> list[int]:
        return [index + 100 for index in indices]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("dataset", [Points(), Lists()], ids=["points", "lists"])
@pytest.mark.parametrize(
    ("consumed", "ended"), [(1, False), (4, False), (4, True)], ids=["begin", "last batch", "end"]
)
def test_order_from_a_global_generator_resumes_when_all_indices_are_drawn(
    workers: int, dataset: Points, consumed: int, ended: bool
) -> None:
    # The workers fetch all batches ahead.
    options: Any = {"batch_size": 2, "num_workers": workers, "prefetch_factor": workers * 3 or None}
    torch.manual_seed(3)
    whole: Any = RunLoader(dataset, sampler=Shuffled(), **options)
    passes = iter(whole)
    for _ in range(consumed):
        next(passes)
    if ended:
        list(passes)
    state, random_state = whole.state_dict(), torch.get_rng_state()
    expected = [one.tolist() for one in (whole if ended else passes)]

    resumed: Any = RunLoader(dataset, sampler=Shuffled(), **options)
    resumed.load_state_dict(state)
    torch.set_rng_state(random_state)  # as the run does last; a new loader draws a seed

    assert [one.tolist() for one in resumed] == expected
    if isinstance(dataset, Lists):
        assert min(map(min, expected)) >= 100


@pytest.mark.parametrize("trained", [0, 1, 4])
def test_replay_of_an_order_leaves_the_global_generators_alone(trained: int) -> None:
    torch.manual_seed(3)
    order = ReplayedOrder(Shuffled(), Shuffled())
    batches = iter(order)
    drawn = [next(batches) for _ in range(4)]  # also by workers, ahead of the training
    state, random_state = order.state_dict(), torch.get_rng_state()
    expected = float(torch.rand(()))

    resumed = ReplayedOrder(Shuffled(), Shuffled())
    resumed.load_state_dict(state)
    resumed.trained = trained
    torch.set_rng_state(random_state)
    rest = itertools.islice(iter(resumed), trained, None)

    assert next(rest) == (drawn[trained] if trained < 4 else next(batches))
    assert float(torch.rand(())) == expected


def test_sampler_that_draws_another_order_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    orders = itertools.count()

    class Unseeded(Sampler[int]):
        def __iter__(self) -> Iterator[int]:
            first = next(orders)
            return iter(range(first, first + 4))

    order = ReplayedOrder(Unseeded(), Unseeded())
    drawn = iter(order)
    next(drawn), next(drawn)
    order.load_state_dict(order.state_dict())

    list(order)

    assert "Unseeded draws another order than before the interruption" in caplog.text


@pytest.mark.parametrize(
    ("batches", "others"),
    [
        ([[2, 0], [1]], [[0, 2], [1]]),
        ([2, 0, 1], [0, 2, 1]),
        ([["b", "a"], ["c"]], [["a", "b"], ["c"]]),
        ([torch.tensor([2, 0]), torch.tensor([1])], [torch.tensor([0, 2]), torch.tensor([1])]),
        ([[(2, "left")], [(0, "up")]], [[(2, "right")], [(0, "up")]]),
        ([[0.5, 1.0]], [[0.25, 1.0]]),
    ],
    ids=["integers", "unbatched", "names", "tensors", "pairs", "numbers"],
)
def test_order_of_any_indices_is_compared_after_a_resume(
    caplog: pytest.LogCaptureFixture, batches: list[Any], others: list[Any]
) -> None:
    order = ReplayedOrder(batches, batches)
    next(iter(order))
    state = order.state_dict()

    for now, warned in ((batches, False), (others, True)):
        resumed = ReplayedOrder(now, now)
        resumed.load_state_dict(state)
        assert len(list(resumed)) == len(batches)
        assert ("draws another order" in caplog.text) == warned


def test_position_of_another_sampler_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    saved: Any = RunLoader(Points(), shuffle=True)
    next(iter(saved))

    RunLoader(Points()).load_state_dict(saved.state_dict())

    assert "saved with the order of RandomSampler, and the order is that of Seq" in caplog.text


@pytest.mark.parametrize(
    ("saved", "now", "batches", "warning"),
    [
        (Layout(batch_size=4), Layout(batch_size=2), 6, ""),
        (Layout(batch_size=2), Layout(batch_size=4), 1, "the last 2 samples are repeated"),
        (Layout(world_size=2), Layout(world_size=1), 6, ""),
        (None, Layout(), 3, ""),
    ],
    ids=["smaller", "larger", "ranks", "unknown"],
)
def test_position_is_translated_to_another_batch_size_and_number_of_ranks(
    caplog: pytest.LogCaptureFixture, saved: Any, now: Layout, batches: int, warning: str
) -> None:
    assert now.translated(3, saved) == batches
    assert warning in caplog.text
    assert bool(caplog.records) == bool(warning)


def test_notes_of_a_loader_have_its_setting(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="engine.runner")
    data = DataLoader(Points(), 2, shuffle=True)

    made = prepared("val_dataloader", data, world_size=2, seed=0, trains=False)

    assert isinstance(made, RunLoader)
    assert "val_dataloader: RandomSampler yields all samples on each rank" in caplog.text


class Stateful:
    """A loader that saves its position, and draws a seed at the beginning of each pass."""

    def __init__(self) -> None:
        self.batch, self.loaded = 0, False

    def __iter__(self) -> Iterator[int]:
        torch.rand(1)
        self.batch, self.loaded = self.batch if self.loaded else 0, False
        return self._rest()

    def _rest(self) -> Iterator[int]:
        while self.batch < 4:
            self.batch += 1
            yield self.batch

    def state_dict(self) -> dict[str, int]:
        return {"batch": self.batch % 4}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.batch, self.loaded = state["batch"], True


@pytest.mark.parametrize(("consumed", "left"), [(2, 2), (4, 4)], ids=["within", "between"])
def test_stateful_loader_resumes_with_the_random_numbers_of_the_run(
    consumed: int, left: int
) -> None:
    def rest(batches: Any) -> list[tuple[int, float]]:
        return [(batch, float(torch.rand(1))) for batch in batches]

    whole = StatefulPosition(Stateful())
    batches = iter(whole)
    for _ in range(consumed):
        next(batches)
    if consumed == 4:
        assert list(batches) == []
    state, random_state = whole.state_dict(), torch.get_rng_state()
    expected = rest(whole if consumed == 4 else batches)

    resumed = StatefulPosition(Stateful())
    resumed.load_state_dict(state)
    torch.set_rng_state(random_state)

    assert len(expected) == left
    assert rest(resumed) == expected
