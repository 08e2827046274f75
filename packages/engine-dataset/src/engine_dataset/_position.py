"""The place of a data loader in its stream of samples."""

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, cast

import torch


class Progress:
    """How far one iteration over a loader has come.

    Args:
        batches: Batches handed to the trainer before the iteration.
        window: Batches that workers may be at, at most.
    """

    __slots__ = ("batches", "drawn", "exhausted")

    def __init__(self, batches: int = 0, window: int = 0) -> None:
        self.batches = batches
        # Number and indices of the batches drawn last; the trainer's latest is always among them.
        self.drawn: deque[tuple[int, Any]] = deque(maxlen=window + 2)
        self.exhausted = False

    @property
    def latest(self) -> Any:
        """Indices of the batch handed out last."""
        return self.indices_of(self.batches - 1)

    def indices_of(self, batch: int) -> Any:
        """Indices of a batch among those drawn last; ``None`` when it is not."""
        return next((indices for number, indices in self.drawn if number == batch), None)


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
        return self._draw(self.progress, self.generator_state)

    def _draw(self, progress: Progress, generator_state: torch.Tensor | None) -> Iterator[Any]:
        # This runs from the first batch on, after torch has drawn its workers' seed, maybe from the
        # sampler's generator: the order must not depend on how many draws that took.
        if generator_state is not None:
            self.sampler.generator.set_state(generator_state)  # type: ignore[attr-defined] # has one
        start, drawn = progress.batches, progress.drawn
        for numbered in enumerate(self._from(start), start):
            drawn.append(numbered)
            yield numbered[1]

    def _from(self, start: int) -> Iterator[Any]:
        if self.batch_size is not None and hasattr(self.sampler, "start_at"):
            self.sampler.start_at(start * self.batch_size)
            return iter(self.batches)
        # Any other sampler is asked for the indices of the past, but no sample of it is loaded.
        return islice(iter(self.batches), start, None)
