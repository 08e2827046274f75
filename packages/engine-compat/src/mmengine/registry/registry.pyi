"""Written by scripts/compat_stubs.py."""

from engine_registry import Registry

__all__ = ["Registry"]
