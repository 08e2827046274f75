"""Written by scripts/compat_stubs.py."""

from engine_model.analysis import Handle

__all__ = ["Handle"]
