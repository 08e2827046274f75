"""Written by scripts/compat_stubs.py."""

from engine_logging import HistoryBuffer

__all__ = ["HistoryBuffer"]
