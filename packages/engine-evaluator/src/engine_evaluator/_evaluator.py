"""Evaluate several metrics together."""

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
    """Pass every batch to several metrics, and return their values together.

    Args:
        metrics: A metric, the config of one, or a sequence of these.

    Raises:
        TypeError: An element is neither a `BaseMetric` nor the config of one.

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
        # A string is a sequence too. Treat it as one metric, so that the error shows all of it.
        several = isinstance(metrics, Sequence) and not isinstance(metrics, str)
        listed: Any = metrics if several else [metrics]
        self.metrics: list[BaseMetric] = [_build(metric) for metric in listed]
        self._dataset_meta: Mapping[str, Any] | None = None

    @property
    def dataset_meta(self) -> Mapping[str, Any] | None:
        """Meta information of the dataset; setting it sets it in every metric."""
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
        """Pass one batch to the metrics.

        Args:
            data_samples: The model's predictions. Data elements in a list are converted to dicts,
                and everything else is passed unchanged.
            data_batch: The batch of the data loader, before preprocessing.
            indices: The index of each sample in the dataset, and ``None`` for padding at the end
                (`ResumableDataLoader.batch_indices`). Padding is dropped here, so that metrics
                that sum up a batch are exact too.
        """
        real: list[int] | None = None
        if indices is not None:
            data_batch, data_samples, real = drop_padding(data_batch, data_samples, indices)
            # The batch is padding only, as the last batch of a rank may be.
            if real == []:
                return
        samples = _as_dicts(data_samples)
        for metric in self.metrics:
            metric.process_identified(data_batch, samples, real)

    def evaluate(self, size: int | None = None) -> dict[str, Any]:
        """Compute all metrics over all ranks; every rank must call it.

        Args:
            size: The number of samples in the whole dataset; ``None`` to keep all results.

        Returns:
            The values by name, in the order of the metrics. They are the same on every rank.

        Raises:
            ValueError: Two metrics return a value of the same name.
            MetricError: A metric failed on the main rank.
        """
        try:
            return self._values(size)
        except BaseException:
            # Results of this evaluation must not count in the next one.
            for metric in self.metrics:
                metric.discard_results()
            raise

    def _values(self, size: int | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for metric in self.metrics:
            found = metric.evaluate(size)
            repeated = sorted(values.keys() & found.keys())
            if repeated:
                raise ValueError(
                    f"names of values must differ, got {repeated[0]!r} of several metrics, one of "
                    f"them {type(metric).__name__}; set a different prefix for each"
                )
            values.update(found)
        return values

    def offline_evaluate(
        self, data_samples: Sequence[Any], data: Sequence[Any] | None = None, chunk_size: int = 1
    ) -> dict[str, Any]:
        """Evaluate stored predictions, such as those that `DumpResults` writes.

        Pass all predictions on every rank: each rank evaluates its share of the chunks.

        Args:
            data_samples: One prediction per sample.
            data: The samples, one per prediction.
            chunk_size: The number of samples per call of `process`.

        Returns:
            The values, as `evaluate` returns them.

        Raises:
            ValueError: ``data`` has another length, or ``chunk_size`` is less than 1.
        """
        size = len(data_samples)
        if data is not None and len(data) != size:
            raise ValueError(
                f"data must have one sample per prediction, got {len(data)} and {size}"
            )
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be >= 1, got {chunk_size}")
        rank, world_size = get_dist_info()
        for start in range(rank * chunk_size, size, world_size * chunk_size):
            chunk = range(start, min(start + chunk_size, size))
            # Read samples one by one, because a dataset cannot be sliced.
            batch = None if data is None else [data[index] for index in chunk]
            self.process([data_samples[index] for index in chunk], batch, indices=chunk)
        return self.evaluate(size)


def _build(metric: MetricLike) -> BaseMetric:
    built = METRICS.build(metric) if isinstance(metric, Mapping) else metric
    if not isinstance(built, BaseMetric):
        raise TypeError(
            f"a metric must be a BaseMetric or a config that builds one, such as "
            f"{{'type': 'DumpResults'}}, got {type(built).__name__}: {built!r}"
        )
    return built


def _as_dicts(data_samples: Any) -> Any:
    """Convert the data elements of a list or tuple to dicts."""
    if not isinstance(data_samples, list | tuple):
        return data_samples
    if not any(isinstance(sample, BaseDataElement) for sample in data_samples):
        return data_samples
    return [
        sample.to_dict() if isinstance(sample, BaseDataElement) else sample
        for sample in data_samples
    ]
