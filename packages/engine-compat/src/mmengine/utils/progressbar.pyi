"""Written by scripts/compat_stubs.py."""

from engine_utils import ProgressBar, track_iter_progress, track_parallel_progress, track_progress
from mmengine._only_here import init_pool

__all__ = [
    "ProgressBar",
    "init_pool",
    "track_iter_progress",
    "track_parallel_progress",
    "track_progress",
]
