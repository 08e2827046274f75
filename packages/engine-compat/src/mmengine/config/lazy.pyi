"""Written by scripts/compat_stubs.py."""

from engine_config import LazyAttr, LazyObject

__all__ = ["LazyAttr", "LazyObject"]
