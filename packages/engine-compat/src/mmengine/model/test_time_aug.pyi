"""Written by scripts/compat_stubs.py."""

from engine_model import BaseTTAModel

__all__ = ["BaseTTAModel"]
