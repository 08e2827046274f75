"""Datasets in shared memory, samplers, and a data loader that resumes at the next batch."""

from engine_dataset._collate import default_collate, pseudo_collate
from engine_dataset._compose import Compose
from engine_dataset._dataset import BaseDataset
from engine_dataset._distributed import DistributedSamplerWrapper, ShardedStream
from engine_dataset._errors import DatasetError, SampleError, check_end
from engine_dataset._layout import BatchLayout
from engine_dataset._lazy import force_full_init
from engine_dataset._loader import ResumableDataLoader
from engine_dataset._padding import rank_positions
from engine_dataset._position import IndexStream
from engine_dataset._samplers import DefaultSampler, InfiniteSampler
from engine_dataset._workers import end_pass, end_workers, worker_init_fn
from engine_dataset._wrappers import ClassBalancedDataset, ConcatDataset, RepeatDataset
from engine_registry import COLLATE_FUNCTIONS

__all__ = [
    "COLLATE_FUNCTIONS",
    "BaseDataset",
    "BatchLayout",
    "ClassBalancedDataset",
    "Compose",
    "ConcatDataset",
    "DatasetError",
    "DefaultSampler",
    "DistributedSamplerWrapper",
    "IndexStream",
    "InfiniteSampler",
    "RepeatDataset",
    "ResumableDataLoader",
    "SampleError",
    "ShardedStream",
    "check_end",
    "default_collate",
    "end_pass",
    "end_workers",
    "force_full_init",
    "pseudo_collate",
    "rank_positions",
    "worker_init_fn",
]
