"""Iterate over training data without end, pass after pass."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from engine_runner._loaders import no_batch, sampler_epoch, set_sampler_epoch
from engine_runner._progress import Progress
from engine_runner._types import Batch

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


class EndlessBatches(Iterator[Batch]):
    """The batches of a data loader, pass after pass; each pass has its own order.

    A loop of the user's may build one from its data loader, and take batches with ``next``. A data
    loader that resumes continues at its next batch.

    Args:
        dataloader: The data loader.
        position: What saves the position in the data; by default the data loader itself.
        progress: The counters of a run, whose ``epoch`` counts the passes; by default own ones.

    Raises:
        ValueError: The data loader yields nothing; at the first batch.

    Example:
        >>> batches = EndlessBatches([1, 2])
        >>> [next(batches) for _ in range(5)], batches._epoch
        ([1, 2, 1, 2, 1], 2)
    """

    def __init__(
        self,
        dataloader: "DataLoader[Any]",
        *,
        position: Any = None,
        progress: Progress | None = None,
    ) -> None:
        self._dataloader = dataloader
        self._position: Any = dataloader if position is None else position
        self._counts_alone = progress is None
        self._progress = progress or Progress()
        # Begun with the first batch: by then a resumed run has set the position.
        self._iterator: Iterator[Batch] | None = None

    @property
    def _epoch(self) -> int:
        """Finished passes."""
        return self._progress.epoch

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Return the next batch, of the next pass if this one has ended."""
        if self._iterator is None:
            self._iterator = iter(self._position)
        try:
            return next(self._iterator)
        except StopIteration:
            return self._first_of_next_pass()

    def _first_of_next_pass(self) -> Batch:
        progress = self._progress
        for _ in range(2):  # a run saved after the last batch of a pass resumes an empty one
            if self._counts_alone:  # a resumed data loader has set the epoch of its sampler
                progress.epoch = max(progress.epoch, sampler_epoch(self._dataloader) or 0)
            progress.epoch += 1
            set_sampler_epoch(self._dataloader, progress.epoch)
            self._iterator = iter(self._position)
            for batch in self._iterator:
                return batch
        raise no_batch("train_dataloader", self._dataloader)


_InfiniteDataloaderIterator = EndlessBatches
"""The documented name."""
