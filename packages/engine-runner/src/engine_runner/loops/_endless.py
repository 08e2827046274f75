"""Iterate over training data without end, pass after pass."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from engine_dataset import ResumableDataLoader
from engine_runner._loaders import no_batch, sampler_epoch, set_sampler_epoch
from engine_runner._progress import Progress
from engine_runner._types import Batch
from engine_runner.environment import capture_host_states, restore_host_states

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

_log = logging.getLogger("engine.runner")


class EndlessBatches(Iterator[Batch]):
    """The batches of a data loader, pass after pass; each pass has its own order.

    A loop of the user's may build one from its data loader, and take batches with ``next``. A data
    loader that resumes continues at its next batch, also in a loop that skips as many batches as
    the run has iterations, which other loaders need.

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
        self._run = progress  # the counters that show whether batches are skipped
        # Begun with the first batch: by then a resumed run has set the position.
        self._iterator: Iterator[Batch] | None = None
        self._skip: _Skip | None = None

    @property
    def _epoch(self) -> int:
        """Finished passes."""
        return self._progress.epoch

    def watch(self, progress: Progress) -> None:
        """Take note of the counters of the run, as the iterator is part of its loop.

        Args:
            progress: The counters, which stay as they are.
        """
        self._run = progress

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Return the next batch, of the next pass if this one has ended."""
        if self._iterator is None:
            self._skip = _Skip.of_resumed(self._position, self._run, self._progress)
            self._iterator = iter(self._position)
        elif self._skip is not None:
            self._end_skip(self._skip)
        try:
            return next(self._iterator)
        except StopIteration:
            return self._first_of_next_pass()

    def _end_skip(self, skip: "_Skip") -> None:
        if skip.is_over():
            self._skip = None
            if skip.was_of_all:
                skip.undo()
                self._iterator = iter(self._position)

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


class _Skip:
    """Batches that a loop takes before its first iteration, from a loader that has resumed.

    Loops of the field skip the batches of a former run with ``next``, as many as it had iterations.
    A loader that resumes has skipped them: batches that were never trained on would be left out.

    Args:
        loader: The data loader.
        run: The counters of the run.
        passes: The counters of the iterator.
    """

    def __init__(self, loader: ResumableDataLoader[Any], run: Progress, passes: Progress) -> None:
        self._loader, self._run, self._passes = loader, run, passes
        self._done, self._epoch, self._taken = run.iter, passes.epoch, 1
        self._position = loader.state_dict()
        self._random = capture_host_states()
        self.was_of_all = False

    @classmethod
    def of_resumed(cls, position: Any, run: Progress | None, passes: Progress) -> Self | None:
        """Return one for a run whose loader has resumed, and None for any other."""
        if run is None or not run.iter or not isinstance(position, ResumableDataLoader):
            return None
        state = position.state_dict()
        return cls(position, run, passes) if state["batches"] or state["pass"] else None

    def is_over(self) -> bool:
        """Count a batch, and return whether the first iteration is done, or all are skipped."""
        self.was_of_all = self._run.iter == self._done == self._taken
        self._taken += 1
        return self.was_of_all or self._run.iter != self._done

    def undo(self) -> None:
        """Return to the position of the checkpoint."""
        self._loader.load_state_dict(self._position)
        self._passes.epoch = self._epoch
        restore_host_states(self._random)
        _log.info(
            "The loop skips %d batches, which the resumed data loader has skipped already; it "
            "trains on the batch after them.",
            self._done,
        )


_InfiniteDataloaderIterator = EndlessBatches
"""The documented name."""
