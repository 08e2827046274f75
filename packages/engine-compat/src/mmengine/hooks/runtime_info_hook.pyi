"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import RuntimeInfoHook

__all__ = ["RuntimeInfoHook"]
