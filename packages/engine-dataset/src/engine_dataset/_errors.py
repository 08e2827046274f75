"""Errors of this package that callers may catch."""

import traceback
from typing import Any

from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data._utils.fetch import _MapDatasetFetcher

_FETCH = _MapDatasetFetcher.fetch.__code__


class DatasetError(RuntimeError):
    """The base class of the errors of this package.

    Example:
        >>> from engine_dataset import BaseDataset
        >>> class Broken(BaseDataset):
        ...     def load_data_list(self):
        ...         return [{"value": 0}]
        >>> dataset = Broken(pipeline=[lambda record: 1 / record["value"]])
        >>> try:
        ...     dataset[0]
        ... except DatasetError as error:
        ...     print(error)
        sample 0 (Broken) could not be prepared: ZeroDivisionError: division by zero
    """


class SampleError(DatasetError):
    """A sample could not be read or processed; the message names its index and its file.

    torch rebuilds the error of a worker in the trainer from its message alone. So it keeps its type
    and message there, but ``index`` and ``path`` are ``None``.

    Args:
        message: The error.
        index: The index of the sample in the dataset.
        path: The file of the sample, or ``None`` if its record has none.

    Example:
        >>> raise SampleError("sample 3 (cat.jpg) could not be prepared", index=3, path="cat.jpg")
        Traceback (most recent call last):
            ...
        engine_dataset._errors.SampleError: sample 3 (cat.jpg) could not be prepared
    """

    def __init__(self, message: str, *, index: int | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.path = path


def stopped_dataset(dataset: object, batch: int, indices: object = None) -> DatasetError:
    """Return the error for a dataset with indices whose samples raised `StopIteration`.

    Args:
        dataset: The dataset.
        batch: The number of the batch in the epoch, from 0.
        indices: The indices of the samples in the batch; ``None`` if they are unknown.
    """
    samples = "" if indices is None else f", which has the samples {indices}"
    return DatasetError(
        f"{type(dataset).__name__} raised StopIteration in batch {batch} of the epoch{samples}; "
        "that would end the epoch silently: look for `next(...)` in its `__getitem__` and "
        "its transforms, and raise IndexError or another error there"
    )


def check_end(dataloader: Any, end: StopIteration, batch: int) -> None:
    """Raise if a torch `DataLoader` ended because a sample raised `StopIteration`.

    Python's iteration takes that for the end of the epoch. Only the end of a dataset with indices
    is checked: an `IterableDataset` ends so.

    Args:
        dataloader: The loader. Other iterables are not checked.
        end: The error that ended the iteration.
        batch: The number of batches that the loader has yielded.

    Raises:
        DatasetError: The samples of the next batch raised ``end``.

    Example:
        >>> check_end([1, 2], StopIteration(), batch=2)
    """
    if not isinstance(dataloader, DataLoader) or isinstance(dataloader.dataset, IterableDataset):
        return
    # The error comes out of torch's fetcher, or with a text out of a worker.
    frames = (frame.f_code for frame, _ in traceback.walk_tb(end.__traceback__))
    fetched = any(code is _FETCH for code in frames)
    if fetched or str(end).startswith("Caught StopIteration"):
        raise stopped_dataset(dataloader.dataset, batch) from end
