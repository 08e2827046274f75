"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import set_multi_processing

__all__ = ["set_multi_processing"]
