"""Written by scripts/compat_stubs.py."""

from engine_model import BaseModel

__all__ = ["BaseModel"]
