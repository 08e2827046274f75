"""Several metrics over one evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine_dist import get_dist_info
from engine_evaluator._metric import BaseMetric
from engine_evaluator._padding import drop_padding
from engine_registry import EVALUATOR, METRICS
from engine_structures import BaseDataElement

MetricLike = BaseMetric | Mapping[str, Any]


@EVALUATOR.register_module()
class Evaluator:
    """Feeds every batch to several metrics and puts their values together.

    Args:
        metrics: A metric, the config of one, or a sequence of these.

    Raises:
        TypeError: An element is no ``BaseMetric`` and builds none.

    Example:
        >>> class Count(BaseMetric):
        ...     def process(self, data_batch, data_samples):
        ...         self.results.extend(data_samples)
        ...     def compute_metrics(self, results):
        ...         return {"count": len(results)}
        >>> evaluator = Evaluator([Count(prefix="a"), Count(prefix="b")])
        >>> evaluator.process(data_samples=[{"x": 1}, {"x": 2}, {"x": 0}], indices=[0, 1, None])
        >>> evaluator.evaluate(size=2)
        {'a/count': 2, 'b/count': 2}
    """

    def __init__(self, metrics: MetricLike | Sequence[MetricLike]) -> None:
        several = isinstance(metrics, Sequence) and not isinstance(metrics, str)
        listed: Any = metrics if several else [metrics]
        self.metrics: list[BaseMetric] = [_build(metric) for metric in listed]
        self._dataset_meta: Mapping[str, Any] | None = None

    @property
    def dataset_meta(self) -> Mapping[str, Any] | None:
        """Meta information of the data set; setting it sets it in every metric."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: Mapping[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta
        for metric in self.metrics:
            metric.dataset_meta = dataset_meta

    def process(
        self,
        data_samples: Any,
        data_batch: Any = None,
        *,
        indices: Sequence[int | None] | None = None,
    ) -> None:
        """Feeds one batch to the metrics.

        Args:
            data_samples: Predictions of the model; data elements in it are given on as dicts,
                everything else as it is.
            data_batch: What the data loader gave, before preprocessing.
            indices: Index of each sample in the data set, ``None`` at the end for padding
                (``ResumableDataLoader.batch_indices``). Padding is dropped here, so that metrics
                which sum up a batch are exact as well.
        """
        real: list[int] | None = None
        if indices is not None:
            data_batch, data_samples, real = drop_padding(data_batch, data_samples, indices)
            if real == []:
                return
        samples = _as_dicts(data_samples)
        for metric in self.metrics:
            metric.process_identified(data_batch, samples, real)

    def evaluate(self, size: int | None = None) -> dict[str, Any]:
        """Computes all metrics over all ranks; a collective call.

        Args:
            size: Samples in the whole data set, ``None`` to keep all results.

        Returns:
            Values by name, in the order of the metrics; the same on every rank.

        Raises:
            ValueError: Two metrics give a value of the same name.
        """
        try:
            return self._values(size)
        except BaseException:
            # What is left of this evaluation must not go into the next one.
            for metric in self.metrics:
                metric.forget()
            raise

    def _values(self, size: int | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for metric in self.metrics:
            found = metric.evaluate(size)
            repeated = sorted(values.keys() & found.keys())
            if repeated:
                raise ValueError(
                    f"several metrics give a value named {repeated[0]!r}, one of them "
                    f"{type(metric).__name__}; give them different prefixes"
                )
            values.update(found)
        return values

    def offline_evaluate(
        self, data_samples: Sequence[Any], data: Sequence[Any] | None = None, chunk_size: int = 1
    ) -> dict[str, Any]:
        """Evaluates predictions that were stored, such as ``DumpResults`` writes.

        With several ranks all are given the whole and each evaluates its share of the chunks.

        Args:
            data_samples: Predictions, one a sample.
            data: The samples themselves, equally many.
            chunk_size: Samples to process at a time.

        Returns:
            As ``evaluate``.

        Raises:
            ValueError: ``data`` has another length, or ``chunk_size`` is less than 1.
        """
        size = len(data_samples)
        if data is not None and len(data) != size:
            raise ValueError(
                f"data and data_samples must match, but there are {len(data)} samples and {size} "
                f"predictions"
            )
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, but got {chunk_size}")
        rank, world_size = get_dist_info()
        for start in range(rank * chunk_size, size, world_size * chunk_size):
            chunk = range(start, min(start + chunk_size, size))
            # One by one: a data set cannot be sliced.
            batch = None if data is None else [data[index] for index in chunk]
            self.process([data_samples[index] for index in chunk], batch, indices=chunk)
        return self.evaluate(size)


def _build(metric: MetricLike) -> BaseMetric:
    built = METRICS.build(metric) if isinstance(metric, Mapping) else metric
    if not isinstance(built, BaseMetric):
        raise TypeError(
            f"a metric must be a BaseMetric or a config that builds one, such as "
            f"{{'type': 'DumpResults'}}, but got {type(built).__name__}: {built!r}"
        )
    return built


def _as_dicts(data_samples: Any) -> Any:
    """Turns the data elements of a list or tuple into dicts."""
    if not isinstance(data_samples, list | tuple):
        return data_samples
    if not any(isinstance(sample, BaseDataElement) for sample in data_samples):
        return data_samples
    return [
        sample.to_dict() if isinstance(sample, BaseDataElement) else sample
        for sample in data_samples
    ]
