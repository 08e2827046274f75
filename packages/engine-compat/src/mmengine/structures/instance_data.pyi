"""Written by scripts/compat_stubs.py."""

from engine_structures import InstanceData

__all__ = ["InstanceData"]
