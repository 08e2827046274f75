"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import (
    TORCH_VERSION,
    TimeCounter,
    collect_env,
    has_batch_norm,
    is_jit_tracing,
    is_norm,
    load_url,
    set_multi_processing,
    tensor2imgs,
    torch_meshgrid,
)
from mmengine._only_here import mmcv_full_available
from mmengine.utils.dl_utils import hub as hub
from mmengine.utils.dl_utils import misc as misc
from mmengine.utils.dl_utils import parrots_wrapper as parrots_wrapper
from mmengine.utils.dl_utils import setup_env as setup_env
from mmengine.utils.dl_utils import time_counter as time_counter
from mmengine.utils.dl_utils import torch_ops as torch_ops
from mmengine.utils.dl_utils import trace as trace

__all__ = [
    "TORCH_VERSION",
    "TimeCounter",
    "collect_env",
    "has_batch_norm",
    "is_jit_tracing",
    "is_norm",
    "load_url",
    "mmcv_full_available",
    "set_multi_processing",
    "tensor2imgs",
    "torch_meshgrid",
]
