"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import has_batch_norm, is_norm, tensor2imgs
from mmengine._only_here import mmcv_full_available

__all__ = ["has_batch_norm", "is_norm", "mmcv_full_available", "tensor2imgs"]
