"""Written by scripts/compat_stubs.py."""

from engine_dataset import DefaultSampler, InfiniteSampler

__all__ = ["DefaultSampler", "InfiniteSampler"]
