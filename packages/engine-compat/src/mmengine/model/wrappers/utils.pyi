"""Written by scripts/compat_stubs.py."""

from engine_model import is_model_wrapper

__all__ = ["is_model_wrapper"]
