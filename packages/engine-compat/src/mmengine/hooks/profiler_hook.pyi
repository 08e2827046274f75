"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import NPUProfilerHook, ProfilerHook

__all__ = ["NPUProfilerHook", "ProfilerHook"]
