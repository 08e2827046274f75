"""Written by scripts/compat_stubs.py."""

from engine_structures import LabelData

__all__ = ["LabelData"]
