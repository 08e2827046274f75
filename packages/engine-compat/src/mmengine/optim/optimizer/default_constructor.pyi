"""Written by scripts/compat_stubs.py."""

from engine_optim import DefaultOptimWrapperConstructor

__all__ = ["DefaultOptimWrapperConstructor"]
