"""Written by scripts/compat_stubs.py."""

from engine_runner import LogProcessor

__all__ = ["LogProcessor"]
