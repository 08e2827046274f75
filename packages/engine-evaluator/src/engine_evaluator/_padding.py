"""Remove padding: samples that a sampler repeats to give all ranks equally many."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from engine_structures import BaseDataElement

_logger = logging.getLogger("engine.evaluator")


class PaddingCut:
    """Cut containers of ``size`` samples to the first ``keep`` samples.

    Predictions and batches have many forms: a list of samples, a tensor ``(N, …)``, or a tuple,
    list or dict of such fields. Containers without one entry per sample are returned unchanged.

    Args:
        size: The number of samples in the batch.
        keep: The number of samples before the padding.
    """

    def __init__(self, size: int, keep: int) -> None:
        self.size = size
        self.keep = keep
        self.found = False

    def samples(self, value: Any) -> Any:
        """Cut predictions: a list of ``size`` entries is a list of samples."""
        if isinstance(value, list) and len(value) == self.size:
            return self._shorten(value)
        return self.fields(value)

    def fields(self, value: Any) -> Any:
        """Cut collated data, which is usually a sequence of fields, or a field."""
        if isinstance(value, torch.Tensor | np.ndarray):
            return self._shorten(value) if _entries(value) == self.size else value
        if isinstance(value, BaseDataElement | str | bytes):
            return value
        if isinstance(value, Mapping):
            return {key: self.fields(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return self._sequence(value)
        return value

    def _sequence(self, value: Any) -> Any:
        # In a batch of two, a list of two fields looks like a list of two samples. It is a list of
        # fields if each of its entries has one entry per sample.
        holds_fields = bool(value) and all(_entries(one) == self.size for one in value)
        if len(value) == self.size and not holds_fields:
            return self._shorten(value)
        content = [self.fields(one) for one in value]
        return type(value)(*content) if hasattr(value, "_fields") else type(value)(content)

    def _shorten(self, value: Any) -> Any:
        self.found = True
        return value[: self.keep]


def _entries(value: Any) -> int | None:
    if isinstance(value, torch.Tensor | np.ndarray):
        return len(value) if value.ndim else None
    return len(value) if isinstance(value, list | tuple) else None


def drop_padding(
    data_batch: Any, data_samples: Any, indices: Sequence[int | None]
) -> tuple[Any, Any, list[int] | None]:
    """Remove padding from a batch and its predictions.

    Args:
        data_batch: The batch of the data loader.
        data_samples: The model's predictions for it.
        indices: The index of each sample in the dataset, and ``None`` for padding at the end.

    Returns:
        The batch, the predictions and the indices without padding. If the predictions have no
            entry per sample, they still include padding, and the indices are ``None``.

    Raises:
        ValueError: A sample follows padding.
    """
    real = [index for index in indices if index is not None]
    if len(real) == len(indices):
        return data_batch, data_samples, real
    if list(indices[: len(real)]) != real:
        raise ValueError(f"padding must be at the end of a batch, got the indices {indices}")
    cut = PaddingCut(len(indices), len(real))
    shortened = cut.samples(data_samples)
    if not cut.found:
        _logger.warning(
            "the last %d of %d samples are padding, but the predictions have no entry per sample; "
            "metrics count the padding; return a list of samples from the model",
            *(len(indices) - len(real), len(indices)),
        )
        return data_batch, data_samples, None
    return cut.fields(data_batch), shortened, real
