"""Written by scripts/compat_stubs.py."""

from engine_optim import OptimWrapperDict

__all__ = ["OptimWrapperDict"]
