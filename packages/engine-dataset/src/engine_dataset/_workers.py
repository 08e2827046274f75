"""Seed worker processes."""

import random
import warnings

import numpy as np
import torch
from torch.utils.data import get_worker_info

# numpy accepts seeds of 32 bits only.
_SEEDS = 1 << 32


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
