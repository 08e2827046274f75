"""Wrappers that spread a model over processes."""

from engine_model.wrappers._distributed import MMDistributedDataParallel
from engine_model.wrappers._table import is_model_wrapper

__all__ = ["MMDistributedDataParallel", "is_model_wrapper"]
