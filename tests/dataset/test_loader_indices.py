"""A loader has the indices of its recent batches, which a report about a bad one names."""

from typing import Any

import pytest

from engine_dataset import DefaultSampler, ResumableDataLoader


@pytest.mark.parametrize("workers", [0, 2])
def test_indices_of_recent_batches_are_those_that_were_drawn(workers: int) -> None:
    data: Any = list(range(1200))
    loader: Any = ResumableDataLoader(
        data, batch_size=2, sampler=DefaultSampler(data, seed=3), num_workers=workers
    )

    assert loader.indices_of(0) is None  # before the first pass
    batches = [batch.tolist() for batch, _ in zip(loader, range(300), strict=False)]

    assert [loader.indices_of(number) for number in range(100, 300)] == batches[100:]
    assert loader.indices_of(2) is None  # too long ago


def test_loader_without_batches_has_an_index_per_sample() -> None:
    data: Any = [5, 6, 7]
    loader: Any = ResumableDataLoader(data, batch_size=None)

    list(loader)

    assert [loader.indices_of(number) for number in range(3)] == [[0], [1], [2]]
