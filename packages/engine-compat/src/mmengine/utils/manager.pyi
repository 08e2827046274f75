"""Written by scripts/compat_stubs.py."""

from engine_utils import ManagerMeta, ManagerMixin

__all__ = ["ManagerMeta", "ManagerMixin"]
