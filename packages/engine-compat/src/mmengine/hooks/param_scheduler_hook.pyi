"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import ParamSchedulerHook

__all__ = ["ParamSchedulerHook"]
