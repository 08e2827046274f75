"""Which samples a rank reads, and in which order."""

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import Sampler

from engine_dist import get_dist_info, sync_random_seed
from engine_registry import DATA_SAMPLERS


def _permutation(size: int, seed: int) -> torch.Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


@DATA_SAMPLERS.register_module()
class DefaultSampler(Sampler[int]):
    """Deals a data set out to the ranks, one sample to each in turn; works without ranks as well.

    Rank ``r`` of ``w`` reads the positions ``r, r + w, r + 2w, …`` of the epoch's order. The order
    follows from ``seed + epoch`` alone, so an epoch can be entered anywhere.

    Args:
        dataset: What to sample from; only its length counts.
        shuffle: Whether each epoch has an order of its own.
        seed: Seed of the order, the same on all ranks; ``None`` draws one and shares it, which is a
            collective call.
        round_up: Whether to repeat samples from the front of the order until every rank has equally
            many; ``padding`` tells how many of this rank's samples are such repetitions.

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
        self._start = 0

    @property
    def padding(self) -> int:
        """How many samples at the end of this rank's share are repetitions."""
        return len(self) - self._real

    @property
    def _real(self) -> int:
        return len(range(self.rank, self.size, self.world_size))

    def __iter__(self) -> Iterator[int]:
        start, self._start = self._start, 0
        if self.shuffle:
            order = _permutation(self.size, self.seed + self.epoch)
        else:
            order = torch.arange(self.size)
        own = order[self.rank :: self.world_size].tolist()
        for position in range(self._real, len(self)):
            own.append(int(order[(self.rank + position * self.world_size) % self.size]))
        return iter(own[start:])

    def __len__(self) -> int:
        if self.round_up:
            return -(-self.size // self.world_size)
        return self._real

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        self.epoch = epoch

    def start_at(self, position: int) -> None:
        """Makes the next iteration, and only it, begin at this rank's ``position``-th sample."""
        self._start = position

    def state_dict(self) -> dict[str, Any]:
        """Gives what defines the order: seed and epoch."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the order that ``state_dict`` describes."""
        self.seed, self.epoch = state_dict["seed"], state_dict["epoch"]


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler[int]):
    """Yields samples without end, one permutation of the data set after the other.

    All ranks read one endless stream, each every ``w``-th sample of it. A new iteration goes on
    where the last one stopped. The stream's ``k``-th permutation follows from ``seed + k``, so that
    ``start_at`` reaches any position at once.

    Args:
        dataset: What to sample from; only its length counts.
        shuffle: Whether the permutations are random; otherwise the data set repeats in order.
        seed: Seed of the stream, the same on all ranks; ``None`` draws one and shares it, which is
            a collective call.

    Raises:
        ValueError: The data set is empty.

    Example:
        >>> stream = iter(InfiniteSampler(range(3), shuffle=False))
        >>> [next(stream) for _ in range(5)]
        [0, 1, 2, 0, 1]
    """

    endless = True

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.size = len(dataset)
        self._position = 0
        if not self.size:
            raise ValueError("InfiniteSampler needs a data set with samples, but it is empty")

    def __iter__(self) -> Iterator[int]:
        while True:
            turn, offset = divmod(self._position * self.world_size + self.rank, self.size)
            if self.shuffle:
                order = _permutation(self.size, self.seed + turn)
            else:
                order = torch.arange(self.size)
            for index in order[offset :: self.world_size].tolist():
                self._position += 1
                yield index

    def __len__(self) -> int:
        """Length of the data set, as the stream has none."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: an endless stream has no epochs."""

    def start_at(self, position: int) -> None:
        """Makes the next iteration begin at this rank's ``position``-th sample of the stream."""
        self._position = position

    def state_dict(self) -> dict[str, Any]:
        """Gives seed and position of the stream."""
        return {"seed": self.seed, "position": self._position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to the place in the stream that ``state_dict`` describes."""
        self.seed, self._position = state_dict["seed"], state_dict["position"]
