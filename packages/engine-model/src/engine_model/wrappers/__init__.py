"""Wrap a model to train it on many processes."""

from engine_model._model_wrapper import is_model_wrapper
from engine_model.wrappers._distributed import MMDistributedDataParallel
from engine_model.wrappers._earlier_options import check_sharding
from engine_model.wrappers._policies import FSDP_WRAP_POLICIES, Policy
from engine_model.wrappers._separate import MMSeparateDistributedDataParallel
from engine_model.wrappers._sharded import MMFullyShardedDataParallel

__all__ = [
    "FSDP_WRAP_POLICIES",
    "MMDistributedDataParallel",
    "MMFullyShardedDataParallel",
    "MMSeparateDistributedDataParallel",
    "Policy",
    "check_sharding",
    "is_model_wrapper",
]
