"""Written by scripts/compat_stubs.py."""

from engine_optim import AmpOptimWrapper

__all__ = ["AmpOptimWrapper"]
