"""Written by scripts/compat_stubs.py."""

from engine_optim import (
    OPTIMIZERS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    AmpOptimWrapper,
    ApexOptimWrapper,
    BaseOptimWrapper,
    DefaultOptimWrapperConstructor,
    OptimWrapper,
    OptimWrapperDict,
    ZeroRedundancyOptimizer,
    build_optim_wrapper,
)
from mmengine.optim.optimizer import amp_optimizer_wrapper as amp_optimizer_wrapper
from mmengine.optim.optimizer import apex_optimizer_wrapper as apex_optimizer_wrapper
from mmengine.optim.optimizer import base as base
from mmengine.optim.optimizer import builder as builder
from mmengine.optim.optimizer import default_constructor as default_constructor
from mmengine.optim.optimizer import optimizer_wrapper as optimizer_wrapper
from mmengine.optim.optimizer import optimizer_wrapper_dict as optimizer_wrapper_dict
from mmengine.optim.optimizer import zero_optimizer as zero_optimizer

__all__ = [
    "OPTIMIZERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "AmpOptimWrapper",
    "ApexOptimWrapper",
    "BaseOptimWrapper",
    "DefaultOptimWrapperConstructor",
    "OptimWrapper",
    "OptimWrapperDict",
    "ZeroRedundancyOptimizer",
    "build_optim_wrapper",
]
