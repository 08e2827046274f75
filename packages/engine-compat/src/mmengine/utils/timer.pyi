"""Written by scripts/compat_stubs.py."""

from engine_utils import Timer, TimerError, check_time

__all__ = ["Timer", "TimerError", "check_time"]
