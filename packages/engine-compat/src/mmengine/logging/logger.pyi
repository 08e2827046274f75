"""Written by scripts/compat_stubs.py."""

from engine_logging import MMLogger, print_log

__all__ = ["MMLogger", "print_log"]
