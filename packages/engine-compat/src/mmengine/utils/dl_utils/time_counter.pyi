"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import TimeCounter

__all__ = ["TimeCounter"]
