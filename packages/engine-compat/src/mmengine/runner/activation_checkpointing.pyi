"""Written by scripts/compat_stubs.py."""

from engine_runner import turn_on_activation_checkpointing

__all__ = ["turn_on_activation_checkpointing"]
