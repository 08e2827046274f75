"""Remove padding: the samples that a sampler repeated to give all ranks equally many."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from engine_structures import BaseDataElement

_logger = logging.getLogger("engine.evaluator")


class PaddingCut:
    """Cut containers with one entry per sample from ``size`` entries to the first ``keep``.

    Predictions and batches have many forms: a list of samples, a tensor ``(N, …)``, a tuple, list
    or dict of such fields. Containers without one entry per sample stay as they are.

    Args:
        size: The number of samples in the batch.
        keep: The number of samples at its front that are not padding.
    """

    def __init__(self, size: int, keep: int) -> None:
        self.size = size
        self.keep = keep
        self.found = False

    def samples(self, value: Any) -> Any:
        """Cut predictions: a list of the right length is a list of samples."""
        if isinstance(value, list) and len(value) == self.size:
            return self._shorten(value)
        return self.fields(value)

    def fields(self, value: Any) -> Any:
        """Cut collated data: rather a sequence of fields than a sequence of samples."""
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
        # Two fields of a batch of two look like two samples: they are fields if each has one entry
        # per sample itself.
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
        indices: The index of each sample in the dataset. ``None``, at the end only, marks padding.

    Returns:
        Batch, predictions and indices without padding. The indices are ``None`` if nothing in
            the predictions has one entry per sample, so that the padding is still among them.

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
            "the last %d of %d samples are padding, but the predictions have no entry per sample: "
            "metrics count the padding; let the model return a list of samples",
            *(len(indices) - len(real), len(indices)),
        )
        return data_batch, data_samples, None
    return cut.fields(data_batch), shortened, real
