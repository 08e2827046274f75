"""Written by scripts/compat_stubs.py."""

from engine_model import MMFullyShardedDataParallel

__all__ = ["MMFullyShardedDataParallel"]
