"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import Hook
from mmengine._only_here import DATA_BATCH

__all__ = ["DATA_BATCH", "Hook"]
