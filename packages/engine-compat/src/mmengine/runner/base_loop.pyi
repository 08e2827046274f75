"""Written by scripts/compat_stubs.py."""

from engine_runner import BaseLoop

__all__ = ["BaseLoop"]
