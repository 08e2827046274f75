"""Written by scripts/compat_stubs.py."""

from engine_evaluator import BaseMetric, DumpResults
from engine_evaluator import to_cpu as _to_cpu

__all__ = ["BaseMetric", "DumpResults", "_to_cpu"]
