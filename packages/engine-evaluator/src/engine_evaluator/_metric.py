"""The base class of metrics."""

import logging
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal

from engine_dist import (
    RankResults,
    broadcast_object_list,
    collect_results,
    get_world_size,
    is_main_process,
    merge_results,
)
from engine_evaluator._device import to_cpu
from engine_evaluator._errors import MetricError
from engine_utils import expand_home

_logger = logging.getLogger("engine.evaluator")


class BaseMetric(ABC):
    """Store results per batch, and compute the values of a metric over all ranks.

    A subclass appends to `results` in `process`, and computes its values in `compute_metrics`. That
    method runs on the main rank with the results of all ranks. With one result per sample, the
    results are in the order of the dataset, and each sample counts once.

    Args:
        collect_device: The device over which ranks exchange results: ``"cpu"`` or ``"gpu"``. The
            main rank receives them on the CPU.
        prefix: The text before the names of the values, followed by a slash. ``None`` uses the
            ``default_prefix`` of the class, and warns if that is ``None`` too.
        collect_dir: A folder that all ranks reach, to exchange results through files; only with
            ``collect_device="cpu"``. The files are deleted. ``None`` exchanges them in memory.

    Attributes:
        results: The results of this rank that have not been evaluated.

    Raises:
        ValueError: ``collect_device`` is neither ``"cpu"`` nor ``"gpu"``, or ``collect_dir`` is
            given with ``"gpu"``.

    Example:
        >>> class Accuracy(BaseMetric):
        ...     default_prefix = "top1"
        ...     def process(self, data_batch, data_samples):
        ...         self.results.extend(one["pred"] == one["label"] for one in data_samples)
        ...     def compute_metrics(self, results):
        ...         return {"accuracy": sum(results) / len(results)}
        >>> metric = Accuracy()
        >>> metric.process(None, [{"pred": 1, "label": 1}, {"pred": 0, "label": 1}])
        >>> metric.evaluate(size=2)
        {'top1/accuracy': 0.5}
    """

    default_prefix: ClassVar[str | None] = None

    def __init__(
        self,
        collect_device: Literal["cpu", "gpu"] = "cpu",
        prefix: str | None = None,
        collect_dir: str | PathLike[str] | None = None,
    ) -> None:
        if collect_device not in ("cpu", "gpu"):
            raise ValueError(f"collect_device must be 'cpu' or 'gpu', got {collect_device!r}")
        if collect_dir is not None and collect_device != "cpu":
            raise ValueError(
                f"collect_dir must be None with collect_device={collect_device!r}, got "
                f"{collect_dir!r}; set collect_device='cpu' to exchange results through files"
            )
        self.collect_dir = None if collect_dir is None else os.fspath(expand_home(collect_dir))
        self.collect_device = collect_device
        self.prefix = prefix or self.default_prefix
        if self.prefix is None and prefix is None:
            warnings.warn(
                f"The prefix is not set in metric class {type(self).__name__}; set its "
                f'`default_prefix`, or pass prefix="" for names without a prefix',
                stacklevel=2,
            )
        self.results: list[Any] = []
        self._dataset_meta: Mapping[str, Any] | None = None
        self._reset_origins()

    @property
    def dataset_meta(self) -> Mapping[str, Any] | None:
        """Meta information of the evaluated dataset; ``None`` until it is set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: Mapping[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta

    @abstractmethod
    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Append the results of one batch to `results`.

        Args:
            data_batch: The batch of the data loader, before preprocessing.
            data_samples: The model's predictions for the batch, with data elements as dicts.
        """

    @abstractmethod
    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Compute the values from the results of all ranks; runs on the main rank only.

        Args:
            results: All results that `process` appended, on the CPU.

        Returns:
            The values by name.
        """

    def process_identified(
        self, data_batch: Any, data_samples: Any, indices: Sequence[int] | None
    ) -> None:
        """Run `process` and record the samples of its results.

        Args:
            data_batch: As for `process`.
            data_samples: As for `process`, without padding.
            indices: The index of each sample in the dataset. ``None`` if indices are unknown, or if
                the samples may include padding.
        """
        before = len(self.results)
        self.process(data_batch, data_samples)
        found = len(self.results) - before
        if indices is not None:
            self._clean += found
            # With any other number, the sample of a result is unknown.
            if found == len(indices):
                self._indices.extend(indices)

    def discard_results(self) -> None:
        """Drop all results that have not been evaluated."""
        self.results.clear()
        self._reset_origins()

    def _reset_origins(self) -> None:
        # The sample of each result. It is shorter than `results` if some results have no sample.
        self._indices: list[int] = []
        # The number of results from batches without padding.
        self._clean = 0

    def _contribution(self) -> Any:
        """Return the data that this rank sends to the main rank, and drop its results."""
        if not self.results:
            message = (
                f"{type(self).__name__} got empty `self.results`; check that `process` appends "
                f"its results to `self.results`"
            )
            warnings.warn(message, stacklevel=3)
            # The console has the warning; the log file has this line.
            _logger.warning(message, extra={"file_only": True})
        one_per_sample = len(self._indices) == len(self.results)
        contribution = RankResults(
            # `to_cpu` copies the list: with one rank nothing is sent, and `discard_results` would
            # clear the list that is evaluated.
            results=to_cpu(self.results),
            indices=self._indices if one_per_sample else None,
            free_of_padding=self._clean == len(self.results),
        )
        self.discard_results()
        return contribution

    def _compute(self, contributions: list[Any], size: int | None) -> dict[str, Any]:
        """Compute the values on the main rank from the contributions of all ranks."""
        return self.compute_metrics(merge_results(contributions, size))

    def evaluate(self, size: int | None = None) -> dict[str, Any]:
        """Compute the metric over all ranks and drop the results; every rank must call it.

        Args:
            size: The number of samples in the dataset. Results beyond this number are padding and
                are dropped. ``None`` keeps all results.

        Returns:
            The values by name, with the prefix. They are the same on every rank.

        Raises:
            MetricError: The computation failed on the main rank, which raises its own error.
        """
        # Collect one object per rank: merging needs the results of a rank with their indices.
        parts = collect_results(
            [self._contribution()], get_world_size(), self.collect_device, self.collect_dir
        )
        if parts is None or not is_main_process():
            return self._receive_metrics()
        try:
            metrics = self._named(self._compute(parts, size))
        except Exception as error:
            # The other ranks wait in the broadcast. Without this message they would time out.
            broadcast_object_list([None, f"{type(error).__name__}: {error}"])
            raise
        broadcast_object_list([metrics, None])
        return metrics

    def _receive_metrics(self) -> dict[str, Any]:
        message: list[Any] = [None, None]
        broadcast_object_list(message)
        metrics, problem = message
        if problem is not None:
            raise MetricError(f"{type(self).__name__} failed on the main rank: {problem}")
        return dict(metrics)

    def _named(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(metrics, Mapping):
            raise TypeError(
                f"`compute_metrics` of {type(self).__name__} must return a dict of values by name, "
                f"got {type(metrics).__name__}: {metrics!r}"
            )
        if not self.prefix:
            return dict(metrics)
        return {f"{self.prefix}/{name}": value for name, value in metrics.items()}
