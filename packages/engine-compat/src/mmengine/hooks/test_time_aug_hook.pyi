"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import PrepareTTAHook

__all__ = ["PrepareTTAHook"]
