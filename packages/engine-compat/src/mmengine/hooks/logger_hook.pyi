"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import LoggerHook

__all__ = ["LoggerHook"]
