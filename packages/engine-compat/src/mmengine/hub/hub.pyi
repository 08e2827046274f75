"""Written by scripts/compat_stubs.py."""

from engine_runner.hub import get_config, get_model

__all__ = ["get_config", "get_model"]
