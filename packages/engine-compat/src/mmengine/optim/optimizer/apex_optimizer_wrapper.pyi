"""Written by scripts/compat_stubs.py."""

from engine_optim import ApexOptimWrapper

__all__ = ["ApexOptimWrapper"]
