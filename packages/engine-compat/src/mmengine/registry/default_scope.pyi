"""Written by scripts/compat_stubs.py."""

from engine_registry import DefaultScope

__all__ = ["DefaultScope"]
