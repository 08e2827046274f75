"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import IterTimerHook

__all__ = ["IterTimerHook"]
