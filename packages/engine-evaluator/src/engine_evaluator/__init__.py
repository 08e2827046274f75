"""Compute metrics over all ranks; each sample counts once, in the order of the dataset."""

from engine_evaluator._device import to_cpu
from engine_evaluator._dump import DumpResults
from engine_evaluator._errors import MetricError
from engine_evaluator._evaluator import Evaluator
from engine_evaluator._metric import BaseMetric
from engine_evaluator._padding import drop_padding
from engine_evaluator._torchmetrics import TorchMetric
from engine_evaluator._value import get_metric_value

__all__ = [
    "BaseMetric",
    "DumpResults",
    "Evaluator",
    "MetricError",
    "TorchMetric",
    "drop_padding",
    "get_metric_value",
    "to_cpu",
]
