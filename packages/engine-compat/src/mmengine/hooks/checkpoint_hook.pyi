"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import CheckpointHook

__all__ = ["CheckpointHook"]
