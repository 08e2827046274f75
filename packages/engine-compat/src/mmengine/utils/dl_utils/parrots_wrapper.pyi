"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import TORCH_VERSION
from mmengine._only_here import is_rocm_pytorch
from torch.__config__ import show as get_build_config
from torch.nn import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.conv import _ConvTransposeNd as _ConvTransposeMixin
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension, CppExtension
from torch.utils.data import DataLoader
from torch.utils.data import DataLoader as PoolDataLoader

__all__ = [
    "CUDA_HOME",
    "TORCH_VERSION",
    "BuildExtension",
    "CUDAExtension",
    "CppExtension",
    "DataLoader",
    "PoolDataLoader",
    "SyncBatchNorm",
    "_AdaptiveAvgPoolNd",
    "_AdaptiveMaxPoolNd",
    "_AvgPoolNd",
    "_BatchNorm",
    "_ConvNd",
    "_ConvTransposeMixin",
    "_InstanceNorm",
    "_MaxPoolNd",
    "get_build_config",
    "is_rocm_pytorch",
]
