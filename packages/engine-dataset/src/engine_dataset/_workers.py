"""Seed worker processes, and end them."""

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info

from engine_registry import FUNCTIONS

# numpy accepts seeds of 32 bits only.
_SEEDS = 1 << 32


@FUNCTIONS.register_module()
def worker_init_fn(
    worker_id: int,
    num_workers: int,
    rank: int,
    seed: int,
    disable_subprocess_warning: bool = False,
) -> None:
    """Seed ``random``, numpy and torch of a worker process differently for each worker and rank.

    The seeds depend on ``seed`` and on the seed that torch draws in the trainer.

    Args:
        worker_id: The number of the worker, from 0 to ``num_workers - 1``.
        num_workers: The number of workers per rank.
        rank: The rank of the process that started the workers; 0 without ranks.
        seed: The seed of the run.
        disable_subprocess_warning: Whether all workers except the first ignore warnings.
    """
    number = num_workers * rank + worker_id + seed
    info = get_worker_info()
    # The loader draws a base seed per iteration and adds the number of the worker. Without the base
    # seed, workers that restart in each epoch would repeat their augmentations.
    if info is not None:
        number += info.seed - worker_id
    random.seed(number)
    np.random.seed(number % _SEEDS)
    torch.manual_seed(number)
    if disable_subprocess_warning and worker_id != 0:
        warnings.simplefilter("ignore")


def end_workers(loader: DataLoader[Any]) -> None:
    """End the workers of a data loader now; its next iteration starts new ones.

    Workers that persist are ended, too, and those of a pass that was left before its end. The
    iterator of that pass must not be used afterwards. Without this, workers live until torch's
    iterator is freed. If the garbage collector frees it, torch waits 5 s for each of them, since
    the collector has closed the queue that would end them.

    Args:
        loader: The loader. Of a pass that it does not keep, such as that of torch's loader without
            ``persistent_workers``, give the iterator to `end_pass`.

    Example:
        >>> loader = DataLoader([1, 2, 3], num_workers=1, persistent_workers=True)
        >>> next(iter(loader))
        tensor([1])
        >>> end_workers(loader)
    """
    reference = getattr(loader, "_current", None)
    for iterator in (None if reference is None else reference(), loader._iterator):
        end_pass(iterator)
    loader._iterator = None


def end_pass(batches: Iterator[Any] | None) -> None:
    """End the workers of an iterator over a data loader, which must not be used afterwards.

    A worker that is stuck in its sample is killed after some seconds.

    Args:
        batches: The iterator. One without workers has nothing to end.

    Example:
        >>> batches = iter(DataLoader([1, 2, 3], num_workers=1))
        >>> next(batches)
        tensor([1])
        >>> end_pass(batches)
    """
    shut_down = getattr(batches, "_shutdown_workers", None)
    if shut_down is not None:
        shut_down()
    for worker in getattr(batches, "_workers", ()):
        if worker.is_alive():  # torch sends SIGTERM, which a worker may handle
            worker.kill()
