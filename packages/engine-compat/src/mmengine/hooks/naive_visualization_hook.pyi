"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import NaiveVisualizationHook

__all__ = ["NaiveVisualizationHook"]
