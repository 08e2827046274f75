"""Written by scripts/compat_stubs.py."""

from engine_config import Config, ConfigDict, DictAction, read_base

__all__ = ["Config", "ConfigDict", "DictAction", "read_base"]
