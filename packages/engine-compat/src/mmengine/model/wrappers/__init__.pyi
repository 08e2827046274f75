"""Written by scripts/compat_stubs.py."""

from engine_model import (
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
    is_model_wrapper,
)
from mmengine.model.wrappers import distributed as distributed
from mmengine.model.wrappers import fully_sharded_distributed as fully_sharded_distributed
from mmengine.model.wrappers import separate_distributed as separate_distributed
from mmengine.model.wrappers import seperate_distributed as seperate_distributed
from mmengine.model.wrappers import utils as utils

__all__ = [
    "MMDistributedDataParallel",
    "MMFullyShardedDataParallel",
    "MMSeparateDistributedDataParallel",
    "is_model_wrapper",
]
