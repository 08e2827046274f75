"""Written by scripts/compat_stubs.py."""

from engine_utils import digit_version, get_git_hash

__all__ = ["digit_version", "get_git_hash"]
