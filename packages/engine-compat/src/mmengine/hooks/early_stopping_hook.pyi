"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import EarlyStoppingHook

__all__ = ["EarlyStoppingHook"]
