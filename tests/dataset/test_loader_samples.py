"""ResumableDataLoader: which samples the trainer has received, and which cannot be read."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from torch.utils.data import Dataset, DistributedSampler, IterableDataset

from engine_dataset import BaseDataset, DefaultSampler, ResumableDataLoader, SampleError

Loader = ResumableDataLoader[Any]


class Stream(IterableDataset[int]):
    """Samples without indices."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(5))


def _samples(size: int) -> Any:
    return range(size)


def test_batch_indices_follow_the_trainer() -> None:
    for workers in (0, 2):
        data: Any = range(23)
        sampler = DefaultSampler(data, seed=5)
        loader: Loader = ResumableDataLoader(data, 4, sampler=sampler, num_workers=workers)
        assert loader.batch_indices is None
        for batch in loader:
            assert loader.batch_indices == batch.tolist()


def test_batch_indices_without_batching_and_without_indices() -> None:
    data: Any = range(5)
    loader: Loader = ResumableDataLoader(data, None, sampler=DefaultSampler(data, seed=5))
    assert [loader.batch_indices for _ in loader] == [[index] for index in loader.sampler]
    stream: Loader = ResumableDataLoader(Stream(), 2)
    assert [stream.batch_indices for _ in islice(stream, 2)] == [None, None]


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_batch_indices_mark_padding(rank: int) -> None:
    sampler = DefaultSampler(range(10), shuffle=False)
    sampler.rank, sampler.world_size = rank, 4
    loader: Loader = ResumableDataLoader(_samples(10), 2, sampler=sampler)
    found = [loader.batch_indices for _ in loader]
    last = rank + 8
    assert found == [[rank, rank + 4], [last if last < 10 else None]]


@pytest.mark.parametrize("size", [2, 9, 10, 12])
def test_batch_indices_mark_padding_of_torch(size: int) -> None:
    found: list[int] = []
    for rank in range(4):
        dataset = _samples(size)
        sampler: DistributedSampler[int] = DistributedSampler(dataset, num_replicas=4, rank=rank)
        loader: Loader = ResumableDataLoader(dataset, 2, sampler=sampler)
        for _ in loader:
            found += [index for index in loader.batch_indices or () if index is not None]
    assert sorted(found) == list(range(size))


def test_batch_indices_mark_padding_when_ranks_outnumber_samples() -> None:
    sampler = DefaultSampler(range(2), shuffle=False)
    sampler.rank, sampler.world_size = 2, 4
    loader: Loader = ResumableDataLoader(_samples(2), 2, sampler=sampler)
    assert [loader.batch_indices for _ in loader] == [[None]]


class Broken(Dataset[int]):
    """Samples of which the one at 6 cannot be read."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> int:
        if index == 6:
            raise OSError("no such picture")
        return index


@pytest.mark.parametrize("workers", [0, 1])
def test_error_names_the_batch_and_its_samples(workers: int) -> None:
    loader: Loader = ResumableDataLoader(Broken(), 4, num_workers=workers)
    batches = iter(loader)
    next(batches)
    with pytest.raises(OSError, match="no such picture") as caught:
        next(batches)
    assert "batch 1 of the epoch, which has the samples [4, 5, 6, 7]" in caught.value.__notes__[0]
    assert next(batches).tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_sample_names_index_and_file_across_workers(workers: int) -> None:
    class Pictures(BaseDataset):
        def load_data_list(self) -> list[dict[str, Any]]:
            return [{"img_path": f"{number}.jpg"} for number in range(3)]

    def read(record: dict[str, Any]) -> Any:
        raise OSError("truncated")

    loader: Loader = ResumableDataLoader(Pictures(pipeline=[read]), num_workers=workers)
    with pytest.raises(SampleError, match=r"sample 0 \(0\.jpg in Pictures\)[^$]*truncated"):
        next(iter(loader))
