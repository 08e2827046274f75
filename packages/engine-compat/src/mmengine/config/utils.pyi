"""Written by scripts/compat_stubs.py."""

from engine_utils import MODULE2PACKAGE

__all__ = ["MODULE2PACKAGE"]
