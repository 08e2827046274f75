"""Count the samples of a batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine_runner._loaders import batching_part, length_of


def batch_size_of(dataloader: Any) -> int | None:
    """Return the number of samples of a batch, or None if the loader has none."""
    for part in (dataloader, getattr(dataloader, "batch_sampler", None)):
        if isinstance(size := getattr(part, "batch_size", None), int):
            return size
    return None


def samples_in(batch: Any, dataloader: Any) -> int | None:
    """Return the number of samples in the batch that a loader has just yielded, or None.

    A loader that is built from a config has the indices of its last batch, without padding.
    Otherwise the batch is counted: the first dimension of a tensor, the length of a list of
    samples; of a mapping its ``inputs``, or else its first entry with a size; of the fields of
    samples, such as inputs and labels, the first one. Where these differ, the loader's
    ``batch_size`` decides.

    Args:
        batch: The batch.
        dataloader: The loader.

    Example:
        >>> import torch
        >>> samples_in({"inputs": [torch.zeros(3, 8, 8)] * 4, "data_samples": [None] * 4}, None)
        4
        >>> samples_in((torch.zeros(4, 3), torch.zeros(4)), None)
        4
    """
    indices = getattr(dataloader, "batch_indices", None)
    if indices is not None:
        return sum(index is not None for index in indices)
    size = batch_size_of(dataloader)
    if size is None:
        return next(_sizes(batch), None)
    batches = batching_part(dataloader)
    if getattr(batches, "drop_last", False):
        return size
    found = list(_sizes(batch))
    if size in found:
        return size
    samples = length_of(getattr(batches, "sampler", None))
    last = None if samples is None else samples % size
    if last in found:
        return last
    # A larger number counts something else, such as the nodes of graphs.
    return next((one for one in found if one < size), size)


def _sizes(batch: Any) -> Iterator[int]:
    """Yield the numbers of samples that a batch may have, the most likely one first."""
    if not _is_list(batch):
        yield from _sizes_of_field(batch)
    elif batch:
        first = batch[0]
        # A list of tuples is one of samples. Collated fields are tensors or lists, and all tuples
        # where ``tuple(zip(*samples))`` collates them.
        of_samples = isinstance(first, tuple) and not isinstance(batch, tuple)
        if hasattr(first, "shape") or (_is_list(first) and not of_samples):
            for field in batch:
                yield from _sizes_of_field(field)
            yield len(batch)
        else:
            yield len(batch)
            yield from _sizes_of_field(first)


def _sizes_of_field(field: Any) -> Iterator[int]:
    """Yield the numbers of samples that a field of a batch may have."""
    if hasattr(field, "shape"):
        if len(field.shape):
            yield int(field.shape[0])
    elif isinstance(field, Mapping):
        for key in sorted(field, key=lambda key: key != "inputs"):
            yield from _sizes_of_field(field[key])
    elif _is_list(field) and field:
        # Collate functions keep the entries of a pair, such as height and width, in two lists.
        if _is_list(field[0]):
            yield len(field[0])
        yield len(field)
        if getattr(field[0], "shape", ()):
            yield int(field[0].shape[0])


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
