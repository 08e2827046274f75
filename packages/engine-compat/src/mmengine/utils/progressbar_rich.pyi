"""Written by scripts/compat_stubs.py."""

from engine_utils import track_progress_rich

__all__ = ["track_progress_rich"]
