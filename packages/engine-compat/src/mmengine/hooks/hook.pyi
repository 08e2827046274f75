"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import Hook

__all__ = ["Hook"]
