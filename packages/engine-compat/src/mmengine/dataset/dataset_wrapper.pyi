"""Written by scripts/compat_stubs.py."""

from engine_dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset

__all__ = ["ClassBalancedDataset", "ConcatDataset", "RepeatDataset"]
