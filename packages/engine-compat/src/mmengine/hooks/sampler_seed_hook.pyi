"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import DistSamplerSeedHook

__all__ = ["DistSamplerSeedHook"]
