"""Wrappers that spread a model over processes."""

from engine_model.wrappers._distributed import MMDistributedDataParallel
from engine_model.wrappers._separate import MMSeparateDistributedDataParallel
from engine_model.wrappers._sharded import FSDP_WRAP_POLICIES, MMFullyShardedDataParallel
from engine_model.wrappers._table import is_model_wrapper

__all__ = [
    "FSDP_WRAP_POLICIES",
    "MMDistributedDataParallel",
    "MMFullyShardedDataParallel",
    "MMSeparateDistributedDataParallel",
    "is_model_wrapper",
]
