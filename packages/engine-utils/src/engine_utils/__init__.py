"""Named instances, imports, paths, versions, sequences, timers and progress."""

from ._manager import ManagerMeta, ManagerMixin

__all__ = ["ManagerMeta", "ManagerMixin"]
