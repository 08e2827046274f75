"""DefaultSampler and InfiniteSampler."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from engine_dataset import DefaultSampler, InfiniteSampler
from engine_registry import DATA_SAMPLERS

_Size = st.integers(1, 40)
_World = st.integers(1, 6)


def _of_ranks(
    size: int, world_size: int, *, shuffle: bool = True, round_up: bool = True
) -> list[DefaultSampler]:
    samplers = []
    for rank in range(world_size):
        sampler = DefaultSampler(range(size), shuffle=shuffle, seed=7, round_up=round_up)
        sampler.rank, sampler.world_size = rank, world_size
        samplers.append(sampler)
    return samplers


@given(_Size, _World, st.booleans())
def test_ranks_share_the_dataset(size: int, world_size: int, shuffle: bool) -> None:
    ranks = [list(one) for one in _of_ranks(size, world_size, shuffle=shuffle, round_up=False)]
    assert sorted(index for rank in ranks for index in rank) == list(range(size))
    assert max(map(len, ranks)) - min(map(len, ranks)) <= 1


@given(_Size, _World, st.booleans())
def test_round_up_repeats_only_marked_samples(size: int, world_size: int, shuffle: bool) -> None:
    samplers = _of_ranks(size, world_size, shuffle=shuffle)
    ranks = [list(one) for one in samplers]
    assert len({len(rank) for rank in ranks}) == 1
    real = [rank[: len(rank) - one.padding] for rank, one in zip(ranks, samplers, strict=True)]
    assert sorted(index for rank in real for index in rank) == list(range(size))
    assert [len(one) for one in samplers] == [len(rank) for rank in ranks]


@given(st.integers(1, 40), _World)
def test_order_without_shuffling_equals_torch(size: int, world_size: int) -> None:
    for rank, sampler in enumerate(_of_ranks(size, world_size, shuffle=False)):
        torch_sampler: DistributedSampler[int] = DistributedSampler(
            range(size),  # type: ignore[arg-type] # a range has length and items
            num_replicas=world_size,
            rank=rank,
            shuffle=False,
        )
        assert list(sampler) == list(torch_sampler)


@given(_Size, _World, st.integers(0, 50))
def test_sampler_starts_at_any_position_once(size: int, world_size: int, start: int) -> None:
    for sampler in _of_ranks(size, world_size):
        whole = list(sampler)
        sampler.start_at(start)
        assert list(sampler) == whole[start:]
        assert list(sampler) == whole


def test_each_epoch_has_its_own_order() -> None:
    sampler = DefaultSampler(range(50), seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_sampler_state_restores_the_order() -> None:
    sampler = DefaultSampler(range(50), seed=1)
    sampler.set_epoch(3)
    other = DefaultSampler(range(50), seed=2)
    other.load_state_dict(sampler.state_dict())
    assert list(other) == list(sampler)


def test_sampler_without_seed_draws_one() -> None:
    sampler = DefaultSampler(range(50))
    assert isinstance(sampler.seed, int)
    assert list(sampler) == list(sampler)


def test_sampler_of_an_empty_dataset_is_empty() -> None:
    assert list(DefaultSampler([], seed=0)) == []


@pytest.mark.parametrize("name", ["DefaultSampler", "InfiniteSampler"])
def test_samplers_are_built_from_configs(name: str) -> None:
    sampler = DATA_SAMPLERS.build({"type": name, "dataset": range(3), "shuffle": False})
    assert list(islice(iter(sampler), 3)) == [0, 1, 2]


def test_orders_do_not_change_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    list(DefaultSampler(range(9), seed=0))
    next(iter(InfiniteSampler(range(9), seed=0)))
    assert torch.equal(torch.random.get_rng_state(), before)


def _stream(size: int, world_size: int, rank: int, start: int, count: int) -> list[int]:
    sampler = InfiniteSampler(range(size), seed=3)
    sampler.rank, sampler.world_size = rank, world_size
    sampler.start_at(start)
    return list(islice(iter(sampler), count))


@given(st.integers(1, 12), _World, st.integers(0, 40))
def test_infinite_stream_starts_at_any_position(size: int, world_size: int, start: int) -> None:
    for rank in range(world_size):
        whole = _stream(size, world_size, rank, 0, start + 20)
        assert _stream(size, world_size, rank, start, 20) == whole[start:]


@given(st.integers(1, 12), _World)
def test_infinite_stream_has_every_sample_in_each_turn(size: int, world_size: int) -> None:
    ranks = [_stream(size, world_size, rank, 0, 3 * size) for rank in range(world_size)]
    stream = [index for dealt in zip(*ranks, strict=True) for index in dealt]
    for turn in range(3):
        assert sorted(stream[turn * size : (turn + 1) * size]) == list(range(size))


def test_infinite_iteration_continues_where_the_last_stopped() -> None:
    sampler = InfiniteSampler(range(4), shuffle=False)
    assert list(islice(iter(sampler), 3)) == [0, 1, 2]
    sampler.set_epoch(1)
    assert list(islice(iter(sampler), 3)) == [3, 0, 1]
    other = InfiniteSampler(range(4), shuffle=False)
    other.load_state_dict(sampler.state_dict())
    assert next(iter(other)) == 2
    assert len(sampler) == 4


def test_infinite_sampler_raises_for_an_empty_dataset() -> None:
    with pytest.raises(ValueError, match="got an empty one"):
        InfiniteSampler([])
