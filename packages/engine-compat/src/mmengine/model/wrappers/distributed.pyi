"""Written by scripts/compat_stubs.py."""

from engine_model import MMDistributedDataParallel

__all__ = ["MMDistributedDataParallel"]
