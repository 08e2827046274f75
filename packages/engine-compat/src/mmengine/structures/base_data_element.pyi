"""Written by scripts/compat_stubs.py."""

from engine_structures import BaseDataElement

__all__ = ["BaseDataElement"]
