"""Written by scripts/compat_stubs.py."""

from engine_runner import FlexibleRunner

__all__ = ["FlexibleRunner"]
