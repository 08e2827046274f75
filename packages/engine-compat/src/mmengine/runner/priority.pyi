"""Written by scripts/compat_stubs.py."""

from engine_runner import Priority, get_priority

__all__ = ["Priority", "get_priority"]
