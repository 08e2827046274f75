"""Written by scripts/compat_stubs.py."""

from engine_runner import ConfigType, Runner

__all__ = ["ConfigType", "Runner"]
