"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import load_url

__all__ = ["load_url"]
