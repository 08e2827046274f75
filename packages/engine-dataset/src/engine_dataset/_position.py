"""Track the position of a data loader in its stream of samples."""

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, cast

import torch

from engine_dataset._own_order import describes_order
from engine_dataset._seeds import SeededIndices

# The batches whose indices are kept. Losses are read some iterations late; the samples of a bad one
# are named then.
_KEPT = 256


class Progress:
    """Store the progress of one iteration over a loader.

    Args:
        batches: The number of batches that the trainer received before the iteration.
        window: The number of batches that workers may fetch ahead.

    Attributes:
        batches: The number of batches of the epoch that the trainer has received.
        drawn: The numbers and indices of the last drawn batches.
        exhausted: Whether the iteration has ended.
    """

    __slots__ = ("batches", "drawn", "exhausted")

    def __init__(self, batches: int = 0, window: int = 0) -> None:
        self.batches = batches
        # Workers draw indices up to ``window`` batches before the trainer receives the batch.
        self.drawn: deque[tuple[int, Any]] = deque(maxlen=window + _KEPT)
        self.exhausted = False

    @property
    def latest(self) -> Any:
        """The indices of the last received batch."""
        # Without workers it is the last drawn one.
        if self.drawn and self.drawn[-1][0] == self.batches - 1:
            return self.drawn[-1][1]
        return self.indices_of(self.batches - 1)

    def indices_of(self, batch: int) -> Any:
        """Return the indices of a batch, or ``None`` if it is not among the last drawn ones."""
        return next((indices for number, indices in self.drawn if number == batch), None)

    @property
    def awaited(self) -> bool:
        """Whether a batch was drawn that the trainer has not received."""
        return bool(self.drawn) and self.drawn[-1][0] >= self.batches


class IndexStream:
    """Draw the indices of batches from any start, and record the drawn indices.

    Args:
        batches: The batch sampler of the loader, or its sampler without batching.
        sampler: The sampler below it; the same object without batching.
        batch_size: The number of samples per batch, if each batch is that many consecutive samples
            of ``sampler``; otherwise ``None``.

    Example:
        >>> stream = IndexStream([[2, 0], [1]], [2, 0, 1], batch_size=None)
        >>> list(stream), list(stream.progress.drawn)
        ([[2, 0], [1]], [(0, [2, 0]), (1, [1])])
    """

    def __init__(
        self, batches: Iterable[Any], sampler: Iterable[Any], batch_size: int | None
    ) -> None:
        self.batches = batches
        self.sampler = sampler
        self.batch_size = batch_size
        self.progress = Progress()
        # The most batches of a pass; None for all.
        self.limit: int | None = None
        self.generator_state: torch.Tensor | None = None
        # Seeds the workers for each batch; without workers there is none to seed.
        self.worker_seed: int | None = None

    @property
    def endless(self) -> bool:
        """Whether the sampler never ends. Then a new iteration continues after the last one."""
        return bool(getattr(self.sampler, "endless", False))

    def __len__(self) -> int:
        size = len(cast(Sized, self.batches))
        return size if self.limit is None else min(size, self.limit)

    def __iter__(self) -> Iterator[Any]:
        # Pass the current values as arguments: the body of a generator starts at its first `next`,
        # and another iteration may have replaced them by then.
        return self._draw(self.progress, self.generator_state, self.worker_seed)

    def _draw(
        self, progress: Progress, generator_state: torch.Tensor | None, seed: int | None
    ) -> Iterator[Any]:
        # torch first draws the seed of its workers, perhaps from the sampler's generator. The order
        # must not depend on such draws, so the state is restored here.
        if generator_state is not None:
            self.sampler.generator.set_state(generator_state)  # type: ignore[attr-defined] # has one
        start, drawn = progress.batches, progress.drawn
        for numbered in enumerate(self._from(start), start):
            drawn.append(numbered)
            number, indices = numbered
            yield indices if seed is None else SeededIndices(indices, seed, number)

    def _from(self, start: int) -> Iterator[Any]:
        # A resumed position may be beyond the limit, if the limit was higher then.
        end = None if self.limit is None else max(start, self.limit)
        if self.batch_size is not None and describes_order(self.sampler, "start_at"):
            cast(Any, self.sampler).start_at(start * self.batch_size)
            return islice(iter(self.batches), None if end is None else end - start)
        # Other samplers draw the past indices again. No past sample is loaded. One that continues
        # its stream is set back first: its loaded position is that of the batches fetched ahead.
        if self.endless and hasattr(self.sampler, "start_at"):
            self.sampler.start_at(0)
        return islice(iter(self.batches), start, end)


class StreamTickets:
    """The requests for batches of an `IterableDataset`; the first of each worker seeds it.

    A dataset without indices continues its own stream in each worker, so a worker is seeded once
    per pass, by its number.

    Args:
        requests: The sampler that torch makes for such a dataset.
        num_workers: The number of workers; the first requests go to each of them in turn.
    """

    def __init__(self, requests: Iterable[Any], num_workers: int) -> None:
        self.requests = requests
        self.num_workers = num_workers
        self.worker_seed = 0

    def __len__(self) -> int:
        return len(cast(Sized, self.requests))

    def __iter__(self) -> Iterator[Any]:
        return self._draw(self.worker_seed)

    def _draw(self, seed: int) -> Iterator[Any]:
        requests = iter(self.requests)
        for worker, request in enumerate(islice(requests, self.num_workers)):
            yield SeededIndices(request, seed, worker)
        yield from requests
