"""Written by scripts/compat_stubs.py."""

from mmengine import __version__, version_info
from mmengine._only_here import parse_version_info

__all__ = ["__version__", "parse_version_info", "version_info"]
