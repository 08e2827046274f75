"""Written by scripts/compat_stubs.py."""

from engine_runner import autocast

__all__ = ["autocast"]
