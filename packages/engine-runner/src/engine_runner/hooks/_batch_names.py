"""Name the batch of an iteration: its number, the indices of its samples, their files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engine_runner._loaders import length_of
from engine_runner._protocols import Run
from engine_runner.environment import capture_host_states, restore_host_states

_SHOWN = 8
_NAMES = ("img_path", "file_path", "path", "filename", "img_id", "sample_id", "id", "sample_idx")


class BatchNumber(NamedTuple):
    """A batch of the training data.

    Attributes:
        epoch: The number of the pass over the data, from 0.
        batch: The number of the batch in the pass, from 0.
    """

    epoch: int
    batch: int


class BatchNumbers:
    """Return the batch of an iteration that is past, without noting anything per iteration.

    Attributes:
        passed_over: The batches that are not trained on.

    Example:
        >>> BatchNumbers().passed_over
        set()
    """

    def __init__(self) -> None:
        self.passed_over: set[BatchNumber] = set()
        self._start = (0, 0)  # the iteration and the batch at which the epoch begins or resumes

    def begin_epoch(self, run: Run) -> None:
        """Note where an epoch begins, or where a resumed one continues."""
        self._start = (run.iter, _consumed(run))

    def of(self, run: Run, iteration: int, reached: int) -> BatchNumber | None:
        """Return the batch of an iteration, or None if it is unknown.

        Args:
            run: The run.
            iteration: The iteration, counted from 1.
            reached: The last iteration.
        """
        if run.trains_by_epoch:
            return self._since_start(run.epoch, iteration)
        return self._before_now(run, reached - iteration)

    def _since_start(self, epoch: int, iteration: int) -> BatchNumber | None:
        first, batch = self._start
        left = iteration - 1 - first
        if left < 0:
            return None
        while left or (epoch, batch) in self.passed_over:
            left -= (epoch, batch) not in self.passed_over
            batch += 1
        return BatchNumber(epoch, batch)

    def _before_now(self, run: Run, left: int) -> BatchNumber | None:
        epoch, batch = run.epoch, _consumed(run) - 1
        while left or batch < 0 or (epoch, batch) in self.passed_over:
            if batch < 0:
                size = length_of(run.train_dataloader)
                if not size or epoch == 0:
                    return None
                epoch, batch = epoch - 1, batch + size
                continue
            left -= (epoch, batch) not in self.passed_over
            batch -= 1
        return BatchNumber(epoch, batch)


def _consumed(run: Run) -> int:
    position = getattr(run.train_loop, "position", None)
    return int(getattr(position, "batches_consumed", 0))


def batch_text(run: Run, number: BatchNumber | None, *, reads: bool = True) -> str:
    """Return a sentence about a batch of the current pass, or an empty text.

    Args:
        run: The run.
        number: The batch, or None if it is unknown.
        reads: Whether to read the samples again for their names, if the dataset has no
            ``get_data_info``. The random numbers of the run stay as they are.
    """
    if number is None:
        return ""
    where = f"It is the batch {number.batch} of pass {number.epoch} over the data"
    loader = run.train_dataloader
    find = getattr(loader, "indices_of", None)
    indices = find(number.batch) if find is not None and number.epoch == run.epoch else None
    if not indices:
        return f"{where}. "
    names = list(_file_names(loader.dataset, indices[:_SHOWN], reads=reads))
    more = f", … ({len(indices)} in all)" if len(indices) > _SHOWN else ""
    shown = ", ".join(map(str, indices[:_SHOWN])) + more
    return f"{where}: samples {shown}{f' ({names_text(names)})' if names else ''}. "


def _file_names(dataset: Any, indices: Sequence[Any], *, reads: bool) -> Iterator[str]:
    find = getattr(dataset, "get_data_info", None)
    if find is None and not reads:
        return
    states = capture_host_states()
    try:
        for index in indices:
            yield from names_in(dataset[index]) if find is None else _name_in(find(index))
    except Exception:  # a dataset of the user's: the report must not replace the error
        return
    finally:
        restore_host_states(states)


def _name_in(info: object) -> Iterator[str]:
    if isinstance(info, Mapping):
        yield from (str(info[key]) for key in _NAMES[:1] if key in info)
        if _NAMES[0] not in info:
            yield from [str(info[key]) for key in _NAMES if key in info][:1]


def names_text(names: Sequence[str]) -> str:
    """Return the first names of a list, and their number."""
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def names_in(batch: object) -> list[str]:
    """Return the names of the samples in a batch: those in the metainfo of its data elements.

    Args:
        batch: What the data loader yielded.
    """
    if isinstance(batch, Mapping):
        return [name for value in batch.values() for name in names_in(value)]
    if isinstance(batch, list | tuple):
        return [name for value in batch for name in names_in(value)]
    return list(_name_in(getattr(batch, "metainfo", None)))
