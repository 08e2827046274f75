"""Written by scripts/compat_stubs.py."""

from engine_dataset import BaseDataset, Compose, force_full_init

__all__ = ["BaseDataset", "Compose", "force_full_init"]
