"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import SyncBuffersHook

__all__ = ["SyncBuffersHook"]
