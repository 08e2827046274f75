"""Count the batches that the trainer receives."""

from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import torch
from torch.utils.data import DataLoader, IterableDataset

from engine_dataset._errors import stopped_dataset
from engine_dataset._position import Progress
from engine_dataset._workers import end_pass

_Batch = TypeVar("_Batch", covariant=True)
_is_profiled: Callable[[], bool] = getattr(torch.autograd, "_profiler_enabled", lambda: True)


class CountedBatches(Iterator[_Batch]):
    """Count the batches that an iterator of torch's loader yields.

    Args:
        batches: The iterator.
        progress: Where to count.
        loader: The loader.
    """

    # Each training step calls this iterator, and slots make attribute access faster.
    __slots__ = ("_batches", "_dataset", "_load", "_loader", "_progress")

    def __init__(
        self, batches: Iterator[_Batch], progress: Progress, loader: DataLoader[_Batch]
    ) -> None:
        self._batches = batches
        self._progress = progress
        self._loader = loader
        self._dataset = loader.dataset
        # Torch's iterator opens a range of the profiler for each batch, also without a profiler.
        # For a small batch that takes long; with workers it is little beside the transfer.
        indexed = not isinstance(loader.dataset, IterableDataset)
        inner = batches if indexed and not loader.num_workers else None
        self._load: Callable[[], _Batch] = getattr(inner, "_next_data", batches.__next__)

    def __next__(self) -> _Batch:
        progress = self._progress
        try:
            batch = next(self._batches) if _is_profiled() else self._load()
        except StopIteration as error:
            if progress.awaited:
                self._raise_cut(error)
            progress.exhausted = True
            raise
        except Exception as error:
            error.add_note(
                f"in batch {progress.batches} of the epoch, which has the samples "
                f"{progress.indices_of(progress.batches)}"
            )
            # After the error, torch's iterator continues with the next batch.
            progress.batches += 1
            raise
        progress.batches += 1
        return batch

    def _shutdown_workers(self) -> None:
        """End the workers as torch's iterator does; called by `end_pass`."""
        end_pass(self._batches)

    def _raise_cut(self, cause: StopIteration) -> NoReturn:
        """Raise for a batch whose samples raised `StopIteration`, which would end the epoch."""
        number = self._progress.batches
        if getattr(self._batches, "_shutdown", False):
            raise RuntimeError(
                f"the workers of this pass have ended before its batch {number}, with a run or by "
                "end_workers; begin a new pass with iter(loader)"
            ) from cause
        if getattr(self._loader, "_progress", None) is not self._progress:
            raise RuntimeError(
                f"another pass over the loader has begun before batch {number} of this one, and "
                "has taken its persistent workers; use a second loader for the other pass"
            ) from cause
        error = stopped_dataset(self._dataset, number, self._progress.indices_of(number))
        self._progress.batches += 1
        raise error from cause

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type] # torch's iterators have a length

    def drop(self, count: int) -> None:
        """Load and drop batches without counting them."""
        for _ in range(count):
            next(self._batches, None)
