"""Written by scripts/compat_stubs.py."""

from engine_fileio import BaseFileHandler, JsonHandler, PickleHandler, YamlHandler, register_handler

__all__ = ["BaseFileHandler", "JsonHandler", "PickleHandler", "YamlHandler", "register_handler"]
