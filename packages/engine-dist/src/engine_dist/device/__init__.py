"""Find the device to compute on."""

from engine_dist.device._devices import (
    chosen_device,
    current_device,
    get_device,
    get_max_cuda_memory,
    is_cuda_available,
    is_mlu_available,
    is_mps_available,
    is_npu_available,
)
from engine_dist.device._use import available_device, use_device

__all__ = [
    "available_device",
    "chosen_device",
    "current_device",
    "get_device",
    "get_max_cuda_memory",
    "is_cuda_available",
    "is_mlu_available",
    "is_mps_available",
    "is_npu_available",
    "use_device",
]
