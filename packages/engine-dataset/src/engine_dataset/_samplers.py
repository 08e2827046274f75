"""Choose the samples that a rank reads, and their order."""

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import (
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from engine_dist import get_dist_info, sync_random_seed
from engine_registry import DATA_SAMPLERS

TORCH_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
"""The samplers of torch that draw from a generator, the global one without their own."""


def _order(size: int, seed: int, *, shuffle: bool) -> torch.Tensor:
    if not shuffle:
        return torch.arange(size)
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


@DATA_SAMPLERS.register_module()
class DefaultSampler(Sampler[int]):
    """Distribute a dataset across the ranks, one sample to each rank in turn.

    Rank ``r`` of ``w`` reads the positions ``r, r + w, r + 2w, …`` of the epoch's order. The order
    depends only on ``seed + epoch``, so an epoch can start at any position. A single process reads
    all samples.

    Args:
        dataset: The dataset; only its length is used.
        shuffle: Whether each epoch has its own random order.
        seed: The seed of the order, the same on all ranks. ``None`` draws a seed and broadcasts it,
            so all ranks must construct the sampler.
        round_up: Whether to repeat samples from the start of the order until all ranks have equally
            many. ``padding`` is the number of such repetitions on this rank.

    Example:
        >>> sampler = DefaultSampler(range(5), shuffle=False)
        >>> list(sampler)
        [0, 1, 2, 3, 4]
        >>> sampler.start_at(3)
        >>> list(sampler), list(sampler)
        ([3, 4], [0, 1, 2, 3, 4])
    """

    def __init__(
        self, dataset: Sized, shuffle: bool = True, seed: int | None = None, round_up: bool = True
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.epoch = 0
        self.size = len(dataset)
        # The numbers that a subclass with an order of its own has set.
        self._num_samples: int | None = None
        self._total_size: int | None = None
        self._start = 0

    @property
    def num_samples(self) -> int:
        """The number of samples that this rank reads per epoch; a subclass may set it."""
        if self._num_samples is not None:
            return self._num_samples
        return -(-self.size // self.world_size) if self.round_up else self._real

    @num_samples.setter
    def num_samples(self, num_samples: int) -> None:
        self._num_samples = num_samples

    @property
    def total_size(self) -> int:
        """The number of samples that all ranks read per epoch; a subclass may set it."""
        if self._total_size is not None:
            return self._total_size
        return self.num_samples * self.world_size if self.round_up else self.size

    @total_size.setter
    def total_size(self, total_size: int) -> None:
        self._total_size = total_size

    @property
    def padding(self) -> int:
        """The number of repeated samples at the end of this rank's share."""
        return len(self) - self._real

    @property
    def _real(self) -> int:
        return len(range(self.rank, self.size, self.world_size))

    def __iter__(self) -> Iterator[int]:
        start, self._start = self._start, 0
        order = self._whole_order()
        own = order[self.rank :: self.world_size].tolist()
        # With fewer samples than ranks, the order repeats more than once, hence the remainder.
        for position in range(self._real, len(self)):
            own.append(int(order[(self.rank + position * self.world_size) % self.size]))
        return iter(own[start:])

    def _whole_order(self) -> torch.Tensor:
        """Return the order of the epoch over all ranks."""
        return _order(self.size, self.seed + self.epoch, shuffle=self.shuffle)

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order of the next iteration."""
        self.epoch = epoch

    def start_at(self, position: int) -> None:
        """Start the next iteration, and only that one, at this rank's ``position``-th sample."""
        self._start = position

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and the epoch, which determine the order."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the order that `state_dict` returned."""
        self.seed, self.epoch = state_dict["seed"], state_dict["epoch"]


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler[int]):
    """Yield samples without end, one permutation of the dataset after the other.

    All ``w`` ranks read one endless stream, and each rank reads every ``w``-th sample. A new
    iteration continues after the last one. The ``k``-th permutation depends only on ``seed + k``,
    so `start_at` reaches any position directly.

    Args:
        dataset: The dataset; only its length is used.
        shuffle: Whether the permutations are random; otherwise the dataset repeats in order.
        seed: The seed of the stream, the same on all ranks. ``None`` draws a seed and broadcasts
            it, so all ranks must construct the sampler.

    Raises:
        ValueError: The dataset is empty.

    Example:
        >>> stream = iter(InfiniteSampler(range(3), shuffle=False))
        >>> [next(stream) for _ in range(5)]
        [0, 1, 2, 0, 1]
    """

    # `ResumableDataLoader` reads this attribute, and continues the stream in a new iteration.
    endless = True

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.size = len(dataset)
        self._position = 0
        if not self.size:
            raise ValueError(
                "dataset must have at least one sample for an InfiniteSampler, got an empty one"
            )

    def __iter__(self) -> Iterator[int]:
        while True:
            # Compute the turn from the position alone: a loaded state has nothing else.
            turn, offset = divmod(self._position * self.world_size + self.rank, self.size)
            order = _order(self.size, self.seed + turn, shuffle=self.shuffle)
            for index in order[offset :: self.world_size].tolist():
                # Count before the yield: a caller that stops here has received this sample.
                self._position += 1
                yield index

    def __len__(self) -> int:
        """Return the length of the dataset, since the stream has no end."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: an endless stream has no epochs."""

    def start_at(self, position: int) -> None:
        """Start the next iteration at this rank's ``position``-th sample of the stream."""
        self._position = position

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and position of the stream."""
        return {"seed": self.seed, "position": self._position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the position that `state_dict` returned."""
        self.seed, self._position = state_dict["seed"], state_dict["position"]
