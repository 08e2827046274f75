"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import EmptyCacheHook

__all__ = ["EmptyCacheHook"]
