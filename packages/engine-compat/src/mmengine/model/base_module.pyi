"""Written by scripts/compat_stubs.py."""

from engine_model import BaseModule, ModuleDict, ModuleList, Sequential

__all__ = ["BaseModule", "ModuleDict", "ModuleList", "Sequential"]
