"""Written by scripts/compat_stubs.py."""

from engine_model.analysis import Handle
from engine_model.analysis import OperatorAnalyzer as JitModelAnalysis

__all__ = ["Handle", "JitModelAnalysis"]
