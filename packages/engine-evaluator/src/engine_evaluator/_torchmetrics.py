"""Use metrics of the torchmetrics library in an evaluator."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from itertools import chain
from os import PathLike
from typing import Any, Literal

import torch

from engine_evaluator._device import to_cpu
from engine_evaluator._metric import BaseMetric
from engine_registry import METRICS
from engine_utils import did_you_mean, import_extra

# The states of a metric and of the metrics in it, in the order of `modules()`.
_States = list[dict[str, Any]]


@METRICS.register_module()
class TorchMetric(BaseMetric):
    """Update a metric of torchmetrics batch by batch, and merge its states over the ranks.

    Each rank stores only the state of the metric. At the end the main rank merges the states by the
    reductions of the metric. The ranks may have different numbers of batches, which the
    synchronization of torchmetrics does not allow.

    Args:
        metric: A name in torchmetrics, such as ``"Accuracy"`` or ``"text.WordErrorRate"``, or a
            metric or collection object.
        keys: The fields of each predicted sample that are the arguments of `update`, in order.
            Dots separate nested fields: ``("pred_label.score", "gt_label.item")``. Without
            ``keys`` the predictions are the arguments: a tuple or list by position, a dict by name.
        collect_device: The device over which ranks exchange states: ``"cpu"`` or ``"gpu"``.
        prefix: The text before the names of the values, followed by a slash.
        collect_dir: A folder to exchange states through files; see `BaseMetric`.
        **arguments: The arguments of the metric, if ``metric`` is a name.

    Raises:
        ImportError: The package torchmetrics is not installed.
        ValueError: No installed metric has that name.

    Example:
        >>> metric = TorchMetric("Accuracy", task="multiclass", num_classes=3)
        >>> metric.process(None, (torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2])))
        >>> metric.evaluate()
        {'Accuracy': 0.75}
    """

    default_prefix = ""  # the names of its values are those of the metrics

    def __init__(
        self,
        metric: Any,
        *,
        keys: Sequence[str] | None = None,
        collect_device: Literal["cpu", "gpu"] = "cpu",
        prefix: str | None = None,
        collect_dir: str | PathLike[str] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.name = metric.rpartition(".")[2] if isinstance(metric, str) else type(metric).__name__
        self.metric = _find(metric)(**arguments) if isinstance(metric, str) else metric
        self.keys = tuple(keys or ())
        self._placed = False

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Update the metric with one batch.

        Args:
            data_batch: Passed to `arguments_of`.
            data_samples: The model's predictions.
        """
        positional, named = self.arguments_of(data_batch, data_samples)
        if not self._placed:
            self._place(positional, named)
        self.metric.update(*positional, **named)

    def arguments_of(
        self, data_batch: Any, data_samples: Any
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Return the arguments of `update` for one batch; override it for other predictions.

        Args:
            data_batch: The batch of the data loader; unused here.
            data_samples: The model's predictions.

        Returns:
            Positional and named arguments.
        """
        if self.keys:
            fields = ([_field(one, key) for one in data_samples] for key in self.keys)
            return [_batched(values) for values in fields], {}
        if isinstance(data_samples, Mapping):
            return (), data_samples
        return data_samples, {}

    def _place(self, positional: Sequence[Any], named: Mapping[str, Any]) -> None:
        """Move the metric's state to the device of the predictions."""
        found = (one for one in chain(positional, named.values()) if isinstance(one, torch.Tensor))
        tensor = next(found, None)
        if tensor is not None:
            self.metric.to(tensor.device)
            self._placed = True

    def discard_results(self) -> None:
        """Drop all results that have not been evaluated."""
        super().discard_results()
        self.metric.reset()

    def _contribution(self) -> _States:
        states = [to_cpu(dict(part.metric_state)) for part in _parts(self.metric)]
        counts = [part.update_count for part in _parts(self.metric)]
        self.metric.reset()
        return [
            {"update_count": count, **state} for count, state in zip(counts, states, strict=True)
        ]

    def _compute(self, contributions: list[_States], size: int | None) -> dict[str, Any]:
        return self.compute_metrics(contributions)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Merge the states of all ranks and compute the metric from them.

        Args:
            results: The states that the ranks sent.

        Returns:
            The values by the name of the metric, or by the names in the dict that it returns. A
                single number is returned as a number, other values as tensors on the CPU.
        """
        self.metric.to("cpu")
        self._placed = False
        for part, *states in zip(_parts(self.metric), *results, strict=True):
            _restore(part, states)
        computed = self.metric.compute()
        self.metric.reset()
        values = computed if isinstance(computed, Mapping) else {self.name: computed}
        return {name: _plain(value) for name, value in values.items()}


def _find(name: str) -> Any:
    """Return a metric class of torchmetrics or of one of its domains."""
    library = import_extra(
        "torchmetrics", install="engine-evaluator[torchmetrics]", purpose="TorchMetric"
    )
    domain, _, plain = name.rpartition(".")
    domains = [domain] if domain else ["", *_domains(library)]
    for one in domains:
        module = importlib.import_module(f"torchmetrics.{one}") if one else library
        if isinstance(found := getattr(module, plain, None), type):
            return found
    raise ValueError(
        f"no metric {name!r} in {domain or 'torchmetrics and its domains'}"
        f"{did_you_mean(plain, dir(library))}; some metrics need further packages"
    )


def _domains(library: Any) -> list[str]:
    not_metrics = {"functional", "utilities"}
    packages = (module.name for module in pkgutil.iter_modules(library.__path__) if module.ispkg)
    return [name for name in packages if name not in not_metrics]


def _parts(metric: Any) -> list[Any]:
    """Return a metric and all metrics inside it; collections and wrappers contain some."""
    return [part for part in metric.modules() if hasattr(part, "update_count")]


def _restore(metric: Any, states: Sequence[dict[str, Any]]) -> None:
    """Set the state of a metric to the merged states of all ranks."""
    for name, reduction in metric._reductions.items():
        values = [state[name] for state in states]
        if len(values) == 1:
            merged: Any = values[0]
        elif isinstance(values[0], list):
            merged = list(chain.from_iterable(values))
            # `compute` concatenates the list itself, so dim_zero_cat is not applied here.
            if callable(reduction) and reduction.__name__ != "dim_zero_cat":
                merged = reduction(merged)
        else:
            merged = torch.stack(values)
            merged = reduction(merged) if callable(reduction) else merged
        setattr(metric, name, merged)
    # Without an update count, `compute` would log a warning.
    metric._update_count = sum(state["update_count"] for state in states)
    # Otherwise `compute` would merge the states of all ranks a second time.
    metric._to_sync = False
    # Otherwise `compute` would return the cached value of an earlier evaluation.
    metric._computed = None


def _field(sample: Any, key: str) -> Any:
    for name in key.split("."):
        sample = sample[name] if isinstance(sample, Mapping) else getattr(sample, name)
    return sample


def _batched(values: list[Any]) -> Any:
    """Stack numbers or tensors of one shape; return other values as a list, one per sample."""
    if all(isinstance(value, bool | int | float) for value in values):
        return torch.tensor(values)
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    if len(tensors) == len(values) and len({tensor.shape for tensor in tensors}) == 1:
        return torch.stack(tensors)
    return values


def _plain(value: Any) -> Any:
    value = to_cpu(value)
    return value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
