"""Written by scripts/compat_stubs.py."""

from engine_dataset import (
    COLLATE_FUNCTIONS,
    BaseDataset,
    ClassBalancedDataset,
    Compose,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
    default_collate,
    force_full_init,
    pseudo_collate,
    worker_init_fn,
)
from mmengine.dataset import base_dataset as base_dataset
from mmengine.dataset import dataset_wrapper as dataset_wrapper
from mmengine.dataset import sampler as sampler
from mmengine.dataset import utils as utils

__all__ = [
    "COLLATE_FUNCTIONS",
    "BaseDataset",
    "ClassBalancedDataset",
    "Compose",
    "ConcatDataset",
    "DefaultSampler",
    "InfiniteSampler",
    "RepeatDataset",
    "default_collate",
    "force_full_init",
    "pseudo_collate",
    "worker_init_fn",
]
