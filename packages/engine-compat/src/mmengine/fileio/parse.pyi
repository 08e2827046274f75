"""Written by scripts/compat_stubs.py."""

from engine_fileio import dict_from_file, list_from_file

__all__ = ["dict_from_file", "list_from_file"]
