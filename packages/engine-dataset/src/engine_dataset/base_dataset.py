"""Export `BaseDataset` and `Compose` under the path that the documentation uses."""

from engine_dataset._compose import Compose
from engine_dataset._dataset import BaseDataset
from engine_dataset._lazy import force_full_init

__all__ = ["BaseDataset", "Compose", "force_full_init"]
