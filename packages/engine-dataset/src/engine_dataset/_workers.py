"""Random seeds of worker processes."""

import random
import warnings

import numpy as np
import torch
from torch.utils.data import get_worker_info

_SEEDS = 1 << 32


def worker_init_fn(
    worker_id: int,
    num_workers: int,
    rank: int,
    seed: int,
    disable_subprocess_warning: bool = False,
) -> None:
    """Seeds ``random``, numpy and torch of a worker process: differently for every worker and rank.

    In a worker, the number that the data loader draws for each iteration is mixed in: workers that
    are started anew each epoch do not repeat the augmentations of the last one. The whole follows
    from ``seed`` and torch's seed in the trainer.

    Args:
        worker_id: Worker, from 0 to ``num_workers - 1``.
        num_workers: Workers of each rank.
        rank: Rank of the process that owns the workers, 0 without ranks.
        seed: Seed of the run.
        disable_subprocess_warning: Whether all workers but the first keep their warnings to
            themselves.
    """
    number = num_workers * rank + worker_id + seed
    info = get_worker_info()
    if info is not None:
        number += info.seed - worker_id
    random.seed(number)
    np.random.seed(number % _SEEDS)
    torch.manual_seed(number)
    if disable_subprocess_warning and worker_id != 0:
        warnings.simplefilter("ignore")
