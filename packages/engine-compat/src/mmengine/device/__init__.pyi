"""Written by scripts/compat_stubs.py."""

from engine_dist.device import (
    get_device,
    get_max_cuda_memory,
    is_cuda_available,
    is_mlu_available,
    is_mps_available,
    is_npu_available,
)
from mmengine.device import utils as utils

__all__ = [
    "get_device",
    "get_max_cuda_memory",
    "is_cuda_available",
    "is_mlu_available",
    "is_mps_available",
    "is_npu_available",
]
