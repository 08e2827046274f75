"""Count the samples of a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


def samples_in(batch: Any, dataloader: Any) -> int | None:
    """Return the number of samples in the batch that a loader has just yielded, or None.

    A loader that is built from a config has the indices of its last batch, without padding.
    Otherwise the batch is counted: the first dimension of a tensor, the length of a list of
    samples; of a mapping its ``inputs``, or else its first entry; of a tuple, such as inputs and
    labels, its first element.

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
    return _size(batch)


def _size(batch: Any) -> int | None:
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else None
    if isinstance(batch, Mapping):
        if "inputs" in batch:
            inputs = batch["inputs"]
            return len(inputs) if isinstance(inputs, list) else _size(inputs)
        return _size(next(iter(batch.values()), None))
    if isinstance(batch, Sequence) and not isinstance(batch, str | bytes) and batch:
        first = batch[0]
        # Collated parts, such as inputs and labels, are tensors with a dimension of samples.
        return _size(first) if isinstance(first, Tensor | Mapping | tuple) else len(batch)
    return None
