"""Written by scripts/compat_stubs.py."""

from engine_fileio import FileClient

__all__ = ["FileClient"]
