"""Wrappers and samplers as libraries write them: derived from ours, or by hand."""

import copy
import math
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Sampler

from engine_dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
    ResumableDataLoader,
)
from engine_dist import get_dist_info, sync_random_seed

Loader = ResumableDataLoader[Any]

RANGE: Any = range(6)


def test_concat_gives_the_dataset_of_a_sample(numbers: type[BaseDataset]) -> None:
    both = ConcatDataset([numbers(), numbers(indices=3)], lazy_init=True)
    assert [both._get_ori_dataset_idx(idx) for idx in (0, 9, 10, -1)] == [
        (0, 0),
        (0, 9),
        (1, 0),
        (1, 2),
    ]
    assert isinstance(both, TorchConcatDataset)
    with pytest.raises(IndexError, match="sample 13 of a ConcatDataset of 13 samples"):
        both._get_ori_dataset_idx(13)


def test_repeat_gives_the_index_in_its_dataset(numbers: type[BaseDataset]) -> None:
    assert RepeatDataset(numbers(), 2)._get_ori_dataset_idx(13) == 3


def test_balanced_lists_the_repeated_indices(numbers: type[BaseDataset]) -> None:
    balanced = ClassBalancedDataset(numbers(indices=[0, 2, 1]), 0.5, lazy_init=True)
    balanced.full_init()
    assert balanced.repeat_indices == [0, 1, 2, 2]
    assert balanced.repeat_indices != [0, 1, 2]
    assert balanced.repeat_indices[1:] == [1, 2, 2]
    assert repr(balanced.repeat_indices) == "[0, 1, 2, 2]"
    assert balanced._get_ori_dataset_idx(-1) == 2


class Thrice(ClassBalancedDataset):
    def _get_repeat_factors(self, dataset: Any, repeat_thr: float) -> list[float]:
        return [repeat_thr + 1.5] * len(dataset)


class Backwards(RepeatDataset):
    def _get_ori_dataset_idx(self, idx: int) -> int:
        return len(self.dataset) - 1 - idx % len(self.dataset)


class Chosen(ClassBalancedDataset):
    def full_init(self) -> None:
        self.dataset.full_init()
        self.repeat_indices = [7, 7, 1]
        self._fully_initialized = True


def test_overridden_factors_and_indices_are_used(numbers: type[BaseDataset]) -> None:
    assert len(Thrice(numbers(), 1.0)) == 30
    assert [one["value"] for one in Backwards(numbers(indices=3), 2)] == [2, 1, 0, 2, 1, 0]
    chosen = pickle.loads(pickle.dumps(copy.deepcopy(Chosen(numbers(), 1.0))))
    assert [chosen.get_data_info(idx)["value"] for idx in range(len(chosen))] == [7, 7, 1]


@pytest.mark.parametrize(
    ("round_up", "each", "total"), [(True, 3, 12), (False, 2, 10)], ids=["rounded", "exact"]
)
def test_sampler_has_the_numbers_of_its_samples(round_up: bool, each: int, total: int) -> None:
    sampler = DefaultSampler(range(10), round_up=round_up)
    sampler.rank, sampler.world_size = 3, 4
    assert (sampler.num_samples, sampler.total_size, len(sampler)) == (each, total, each)


class Repeated(DefaultSampler):
    """Each sample twice; it sets the numbers and overrides the order."""

    def __init__(self, dataset: Any, **options: Any) -> None:
        super().__init__(dataset, **options)
        self.num_samples = math.ceil(2 * len(dataset) / self.world_size)
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.dataset), generator=generator).repeat_interleave(2)
        return iter(order.tolist()[self.rank : self.total_size : self.world_size])


class ByHand(Sampler[int]):
    """A sampler without a base of ours."""

    def __init__(self, dataset: Any, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.dataset), generator=generator).tolist()
        return iter(order[self.rank :: self.world_size])

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


class Endless(InfiniteSampler):
    """An endless sampler with an order of its own."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("kind", [Repeated, ByHand, Endless, DefaultSampler])
def test_loader_of_an_own_sampler_resumes_at_the_next_batch(kind: Any) -> None:
    def load() -> Loader:
        return ResumableDataLoader(RANGE, 2, sampler=kind(range(6), seed=1))

    loader = load()
    batches = iter(loader)
    seen = [next(batches).tolist()]
    state = loader.state_dict()
    seen += [next(batches).tolist() for _ in range(2)]

    resumed = load()
    resumed.load_state_dict(state)
    rest = iter(resumed)
    assert [next(rest).tolist() for _ in range(2)] == seen[1:]


def test_own_order_has_no_padding() -> None:
    sampler = Repeated(range(6), seed=1)
    sampler.rank, sampler.world_size, sampler.num_samples = 0, 4, 3
    loader: Loader = ResumableDataLoader(RANGE, 3, sampler=sampler)
    next(iter(loader))
    assert None not in (loader.batch_indices or [None])
