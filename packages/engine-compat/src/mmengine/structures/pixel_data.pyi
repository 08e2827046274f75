"""Written by scripts/compat_stubs.py."""

from engine_structures import PixelData

__all__ = ["PixelData"]
