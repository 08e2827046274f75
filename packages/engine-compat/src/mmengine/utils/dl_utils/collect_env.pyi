"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import collect_env

__all__ = ["collect_env"]
