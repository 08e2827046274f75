"""Divide the samples of another sampler, or of a stream, among ranks and workers."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from copy import copy
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from engine_dataset._samplers import TORCH_RANDOM, DefaultSampler
from engine_dataset._seeds import mixed_seed
from engine_dist import get_dist_info
from engine_registry import DATASETS


class DistributedSamplerWrapper(DefaultSampler):
    """Distribute the order of another sampler across the ranks, one index to each rank in turn.

    All ranks draw the whole order alike: from a generator of ``seed + epoch`` for the random
    samplers of torch, and with global generators of that seed for any other sampler. So an epoch
    can start at any position. The global generators are restored afterwards.

    Args:
        sampler: A sampler of all samples, with a length and an end. It is not changed.
        seed: The seed of the order, the same on all ranks. ``None`` draws a seed and broadcasts it,
            so all ranks must construct the sampler.
        round_up: Whether to repeat indices from the start of the order until all ranks have
            equally many.

    Raises:
        ValueError: The sampler never ends, or yields another number of indices than its length.

    Example:
        >>> from torch.utils.data import SubsetRandomSampler
        >>> sampler = DistributedSamplerWrapper(SubsetRandomSampler([3, 5, 7]), seed=0)
        >>> sorted(sampler), len(sampler)
        ([3, 5, 7], 3)
    """

    def __init__(
        self, sampler: Iterable[int], seed: int | None = None, round_up: bool = True
    ) -> None:
        if getattr(sampler, "endless", False):
            raise ValueError(
                f"sampler must have an end, got {type(sampler).__name__}, which divides its "
                "samples among the ranks itself; use it without a wrapper"
            )
        super().__init__(cast(Sized, sampler), shuffle=False, seed=seed, round_up=round_up)
        self.sampler: Any = copy(sampler)

    def _whole_order(self) -> torch.Tensor:
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(self.epoch)
        seed = self.seed + self.epoch
        if isinstance(self.sampler, TORCH_RANDOM):
            self.sampler.generator = torch.Generator().manual_seed(seed)
        with _global_generators(seed):
            order = list(self.sampler)
        if len(order) != self.size:
            raise ValueError(
                f"sampler must yield as many indices as its length, got {len(order)} indices "
                f"from {type(self.sampler).__name__} of length {self.size}"
            )
        return torch.tensor(order, dtype=torch.int64)


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators on the CPU, and restore them in the end."""
    own, numpys, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(seed)
        np.random.seed(mixed_seed(seed) >> 32)
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)
        torch.set_rng_state(torchs)


@DATASETS.register_module()
class ShardedStream(IterableDataset[Any]):
    """Distribute the samples of a stream across ranks and their workers, one to each in turn.

    Every rank and worker reads the whole stream, and drops the samples of the others. So the stream
    must yield the same samples in the same order on each of them: shuffle it with a seed of its
    own. A stream that can skip what it does not need divides itself instead, by
    `engine_dist.get_dist_info` and `torch.utils.data.get_worker_info`; its attribute ``world_size``
    states that it does.

    Args:
        dataset: The stream, or its config: an iterable of samples that can begin again.
        even: Whether to drop the samples of an incomplete last round, so that all ranks have
            equally many: a training across ranks needs that. An evaluation takes ``even=False``.

    Example:
        >>> list(ShardedStream(range(5)))
        [0, 1, 2, 3, 4]
    """

    def __init__(self, dataset: Iterable[Any] | Mapping[str, Any], even: bool = True) -> None:
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.even = even
        self._place: tuple[int, int] | None = None  # of the process that has sent this to a worker

    @property
    def metainfo(self) -> Any:
        """The meta information of the stream, if it has any."""
        return getattr(self.dataset, "metainfo", None)

    @property
    def world_size(self) -> int:
        """The number of ranks that share the stream."""
        return self._rank_and_size()[1]

    def _rank_and_size(self) -> tuple[int, int]:
        # Not at construction: the process group may be created later.
        return self._place or get_dist_info()

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker has no process group.
        return {**self.__dict__, "_place": self._rank_and_size()}

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch to the stream, if it has ``set_epoch``."""
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        return islice(self._of_rank(), worker, None, workers)

    def _of_rank(self) -> Iterator[Any]:
        rank, size = self._rank_and_size()
        samples = iter(self.dataset)
        while round_ := list(islice(samples, size)):
            if len(round_) == size or (not self.even and rank < len(round_)):
                yield round_[rank]
