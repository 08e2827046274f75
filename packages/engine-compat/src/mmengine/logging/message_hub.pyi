"""Written by scripts/compat_stubs.py."""

from engine_logging import MessageHub

__all__ = ["MessageHub"]
