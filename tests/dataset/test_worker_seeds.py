"""worker_init_fn."""

import random
import warnings
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from engine_dataset import ResumableDataLoader, worker_init_fn


def _draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def _draws_of(worker: int, rank: int, seed: int) -> tuple[float, float, float]:
    worker_init_fn(worker, 2, rank, seed)
    return _draws()


def test_seeds_repeat_and_differ_between_workers_ranks_and_runs() -> None:
    assert _draws_of(0, 0, 7) == _draws_of(0, 0, 7)
    draws = [_draws_of(*numbers) for numbers in product((0, 1), (0, 1), (0, 9))]
    for generator in zip(*draws, strict=True):
        assert len(set(generator)) == len(draws)


def test_seeds_above_the_limit_of_numpy_are_accepted() -> None:
    worker_init_fn(1, 2, 3, seed=2**32 - 1)


@pytest.mark.parametrize(("worker", "silent"), [(0, False), (1, True)])
def test_warnings_are_shown_by_the_first_worker_only(worker: int, silent: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        worker_init_fn(worker, 2, 0, 0, disable_subprocess_warning=True)
        warnings.warn("again", stacklevel=1)
    assert bool(caught) != silent


class Noise(Dataset[Any]):
    """A dataset whose samples are random numbers of the worker."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[float, float, float]:
        return _draws()


@pytest.mark.parametrize("kind", [DataLoader, ResumableDataLoader], ids=["torch", "ours"])
def test_epochs_do_not_repeat_their_augmentations(kind: type[DataLoader[Any]]) -> None:
    def epochs() -> list[Any]:
        torch.manual_seed(3)
        init = partial(worker_init_fn, num_workers=1, rank=0, seed=3)
        loader = kind(
            Noise(), batch_size=None, num_workers=1, worker_init_fn=init, collate_fn=tuple
        )
        return [list(loader) for _ in range(2)]

    first, second = epochs()
    assert first != second
    assert epochs() == [first, second]
