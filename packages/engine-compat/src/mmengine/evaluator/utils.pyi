"""Written by scripts/compat_stubs.py."""

from engine_evaluator import get_metric_value

__all__ = ["get_metric_value"]
