"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import is_jit_tracing

__all__ = ["is_jit_tracing"]
