"""Written by scripts/compat_stubs.py."""

from engine_model.analysis import JitModelAnalysis

__all__ = ["JitModelAnalysis"]
