"""Taking the samples out of a batch that a sampler repeated to give all ranks equally many."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from engine_structures import BaseDataElement

_logger = logging.getLogger("engine.evaluator")


class PaddingCut:
    """Shortens what holds one entry a sample from ``size`` entries to the first ``keep``.

    Predictions and batches come in many shapes: a list of samples, a tensor ``(N, …)``, a tuple,
    list or dict of such fields. What has no entry a sample stays as it is.

    Args:
        size: Samples in the batch.
        keep: Samples at its front that are no padding.
    """

    def __init__(self, size: int, keep: int) -> None:
        self.size = size
        self.keep = keep
        self.found = False

    def samples(self, value: Any) -> Any:
        """Shortens predictions: a list of the right length is a list of samples."""
        if isinstance(value, list) and len(value) == self.size:
            return self._shorten(value)
        return self.fields(value)

    def fields(self, value: Any) -> Any:
        """Shortens collated data: a sequence of fields before a sequence of samples."""
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
    """Takes padding out of a batch and its predictions.

    Args:
        data_batch: What the data loader gave.
        data_samples: What the model made of it.
        indices: Index of each sample in the data set; ``None``, at the end only, marks padding.

    Returns:
        Batch, predictions and indices without padding. The indices are ``None`` when nothing in the
        predictions has one entry a sample, so that the padding is still among them.

    Raises:
        ValueError: A sample follows padding.
    """
    real = [index for index in indices if index is not None]
    if len(real) == len(indices):
        return data_batch, data_samples, real
    if list(indices[: len(real)]) != real:
        raise ValueError(f"padding must be at the end of a batch, but its indices are {indices}")
    cut = PaddingCut(len(indices), len(real))
    shortened = cut.samples(data_samples)
    if not cut.found:
        _logger.warning(
            "the last %d of %d samples are padding, but the predictions hold nothing with one "
            "entry a sample; metrics count the padding. Let the model return a list of samples",
            *(len(indices) - len(real), len(indices)),
        )
        return data_batch, data_samples, None
    return cut.fields(data_batch), shortened, real
