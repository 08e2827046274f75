"""Written by scripts/compat_stubs.py."""

from engine_optim import ZeroRedundancyOptimizer

__all__ = ["ZeroRedundancyOptimizer"]
