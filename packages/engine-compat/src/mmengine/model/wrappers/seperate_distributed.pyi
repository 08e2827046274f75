"""Written by scripts/compat_stubs.py."""

from engine_model import MMSeparateDistributedDataParallel

__all__ = ["MMSeparateDistributedDataParallel"]
