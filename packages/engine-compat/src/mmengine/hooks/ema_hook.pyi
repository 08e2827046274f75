"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import EMAHook

__all__ = ["EMAHook"]
