"""The place of a data loader in its stream of samples."""

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, cast

import torch


class Progress:
    """How far one iteration over a loader has come."""

    __slots__ = ("batches", "current", "exhausted", "pending")

    def __init__(self, batches: int = 0) -> None:
        self.batches = batches  # handed to the trainer since the epoch began
        self.pending: deque[Any] = deque()  # indices of batches that workers are at
        self.current: Any = None  # indices of the batch handed out last
        self.exhausted = False


class IndexStream:
    """The index sampler of a loader: enters at any batch and notes what it hands to workers.

    Args:
        batches: What the loader would iterate: a batch sampler, or a sampler without batching.
        sampler: The sampler below it, the same object without batching.
        batch_size: Samples of each batch where every batch is that many samples of ``sampler`` in a
            row, ``None`` where only ``batches`` itself knows.
    """

    def __init__(
        self, batches: Iterable[Any], sampler: Iterable[Any], batch_size: int | None
    ) -> None:
        self.batches = batches
        self.sampler = sampler
        self.batch_size = batch_size
        self.progress = Progress()
        self.generator_state: torch.Tensor | None = None

    @property
    def endless(self) -> bool:
        """Whether the sampler never ends: a new iteration then goes on where the last stopped."""
        return bool(getattr(self.sampler, "endless", False))

    def __len__(self) -> int:
        return len(cast(Sized, self.batches))

    def __iter__(self) -> Iterator[Any]:
        # The body runs at the first batch, after torch has drawn its workers' seed: the order must
        # not depend on how many draws that takes.
        if self.generator_state is not None:
            self.sampler.generator.set_state(self.generator_state)  # type: ignore[attr-defined]
        progress = self.progress
        for indices in self._from(progress.batches):
            progress.pending.append(indices)
            yield indices

    def _from(self, start: int) -> Iterator[Any]:
        if self.batch_size is not None and hasattr(self.sampler, "start_at"):
            self.sampler.start_at(start * self.batch_size)
            return iter(self.batches)
        # Any other sampler is asked for the indices of the past, but no sample of it is loaded.
        return islice(iter(self.batches), start, None)
