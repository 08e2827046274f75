"""Written by scripts/compat_stubs.py."""

from engine_optim import BaseOptimWrapper

__all__ = ["BaseOptimWrapper"]
