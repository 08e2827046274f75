"""Written by scripts/compat_stubs.py."""

from engine_evaluator import BaseMetric, DumpResults, Evaluator, get_metric_value
from mmengine.evaluator import evaluator as evaluator
from mmengine.evaluator import metric as metric
from mmengine.evaluator import utils as utils

__all__ = ["BaseMetric", "DumpResults", "Evaluator", "get_metric_value"]
