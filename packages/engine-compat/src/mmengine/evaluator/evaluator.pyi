"""Written by scripts/compat_stubs.py."""

from engine_evaluator import Evaluator

__all__ = ["Evaluator"]
