"""The base class of metrics."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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

_logger = logging.getLogger("engine.evaluator")


class BaseMetric(ABC):
    """A metric: keeps what it needs of each batch, then computes its values over all ranks.

    A subclass appends to ``self.results`` in ``process`` and computes from them in
    ``compute_metrics``, which runs on the main rank with the results of all ranks. With one result
    a sample, they come in the order of the data set and each sample counts once, whatever the
    sampler did.

    Args:
        collect_device: How results travel between ranks: ``"cpu"`` or ``"gpu"``. They arrive on the
            CPU either way.
        prefix: Put before the names of the values, with a slash; ``None`` means ``default_prefix``
            of the class.

    Raises:
        ValueError: ``collect_device`` is neither of the two.

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
        self, collect_device: Literal["cpu", "gpu"] = "cpu", prefix: str | None = None
    ) -> None:
        if collect_device not in ("cpu", "gpu"):
            raise ValueError(f"collect_device must be 'cpu' or 'gpu', but got {collect_device!r}")
        self.collect_device = collect_device
        self.prefix = prefix or self.default_prefix
        self.results: list[Any] = []
        self._dataset_meta: Mapping[str, Any] | None = None
        self._forget_origins()

    @property
    def dataset_meta(self) -> Mapping[str, Any] | None:
        """Meta information of the data set under evaluation, ``None`` until it is set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: Mapping[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta

    @abstractmethod
    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Appends what is needed of one batch to ``self.results``.

        Args:
            data_batch: What the data loader gave, before preprocessing.
            data_samples: What the model predicted for it, data elements as dicts.
        """

    @abstractmethod
    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Computes the values from the results of all ranks; runs on the main rank only.

        Args:
            results: Everything that ``process`` appended, on the CPU.

        Returns:
            Values by name.
        """

    def process_identified(
        self, data_batch: Any, data_samples: Any, indices: Sequence[int] | None
    ) -> None:
        """Runs ``process`` and notes which samples its results belong to.

        Args:
            data_batch: As for ``process``.
            data_samples: As for ``process``; without padding.
            indices: Index of each sample in the data set; ``None`` when it is not known, or padding
                may be among them.
        """
        before = len(self.results)
        self.process(data_batch, data_samples)
        found = len(self.results) - before
        if indices is not None:
            self._clean += found
            if found == len(indices):
                self._indices.extend(indices)

    def forget(self) -> None:
        """Drops all results that have not been evaluated."""
        self.results.clear()
        self._forget_origins()

    def _forget_origins(self) -> None:
        self._indices: list[int] = []  # the sample of each result, as far as there is one
        self._clean = 0  # results that no padding went into

    def _contribution(self) -> Any:
        """Gives what this rank sends to the main rank, and forgets it."""
        if not self.results:
            _logger.warning(
                "%s has no results; does `process` append to `self.results`?", type(self).__name__
            )
        one_a_sample = len(self._indices) == len(self.results)
        contribution = RankResults(
            results=to_cpu(self.results),
            indices=self._indices if one_a_sample else None,
            free_of_padding=self._clean == len(self.results),
        )
        self.forget()
        return contribution

    def _compute(self, contributions: list[Any], size: int | None) -> dict[str, Any]:
        """Computes the values on the main rank from what the ranks sent."""
        return self.compute_metrics(merge_results(contributions, size))

    def evaluate(self, size: int | None = None) -> dict[str, Any]:
        """Computes the metric over all ranks and forgets the results; a collective call.

        Args:
            size: Samples in the data set. More results than that hold padding, which is dropped;
                ``None`` keeps all.

        Returns:
            Values by name, prefix included; the same on every rank.

        Raises:
            MetricError: The computation failed on the main rank, which raises its own error.
        """
        parts = collect_results([self._contribution()], get_world_size(), self.collect_device)
        if parts is None or not is_main_process():
            return self._await_metrics()
        try:
            metrics = self._named(self._compute(parts, size))
        except Exception as error:
            broadcast_object_list([None, f"{type(error).__name__}: {error}"])
            raise
        broadcast_object_list([metrics, None])
        return metrics

    def _await_metrics(self) -> dict[str, Any]:
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
                f"but returned {type(metrics).__name__}: {metrics!r}"
            )
        if not self.prefix:
            return dict(metrics)
        return {f"{self.prefix}/{name}": value for name, value in metrics.items()}
