"""Seed a worker process for each batch, so that the batch does not depend on the worker's past."""

import random
from typing import Any

import numpy as np
import torch

_WORD = (1 << 64) - 1


def mixed_seed(*parts: int) -> int:
    """Return 64 bits that depend on all parts and on their order.

    The mixing is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

    Args:
        *parts: Integers, of which the low 64 bits count.
    """
    state = 0
    for part in parts:
        state = (state + (part & _WORD) + 0x9E3779B97F4A7C15) & _WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state


def seed_generators(seed: int) -> None:
    """Seed ``random``, numpy and torch of this process from 64 bits."""
    random.seed(seed)
    # numpy and torch both start the same generator from 32 bits: different halves keep their
    # numbers apart.
    np.random.seed(seed >> 32)
    torch.default_generator.manual_seed(seed)
    # Not `torch.manual_seed`: without CUDA in this process it queues a seed with a stack trace.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch leaves it untyped
        torch.cuda.manual_seed_all(seed)


class SeededIndices:
    """The indices of a batch on their way to a worker, which is seeded when they arrive.

    torch's loop in a worker has no function of ours between the receipt of the indices and the
    first sample. So the pickle does it: it is loaded as the plain indices, and seeds the generators
    of the process that loads it. Dataset, fetcher and ``worker_init_fn`` are those of the user.

    Args:
        indices: The indices as the batch sampler yields them.
        seed: The seed of the pass over the data, on this rank.
        number: The number of the batch in the pass.
    """

    __slots__ = ("_indices", "_number", "_seed")

    def __init__(self, indices: Any, seed: int, number: int) -> None:
        self._indices = indices
        self._seed = seed
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self._indices, self._seed, self._number)


def _arrive(indices: Any, seed: int, number: int) -> Any:
    seed_generators(mixed_seed(seed, number))
    return indices
