"""Written by scripts/compat_stubs.py."""

from engine_optim import OptimWrapper

__all__ = ["OptimWrapper"]
