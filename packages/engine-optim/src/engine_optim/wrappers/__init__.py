"""Optimizer wrappers for full precision, mixed precision, and several optimizers."""

from engine_optim.wrappers._amp import AmpOptimWrapper
from engine_optim.wrappers._apex import ApexOptimWrapper
from engine_optim.wrappers._base import BaseOptimWrapper
from engine_optim.wrappers._dict import OptimWrapperDict
from engine_optim.wrappers._guard import LossJumps, StepGuard, step_of
from engine_optim.wrappers._wrapper import OptimWrapper

__all__ = [
    "AmpOptimWrapper",
    "ApexOptimWrapper",
    "BaseOptimWrapper",
    "LossJumps",
    "OptimWrapper",
    "OptimWrapperDict",
    "StepGuard",
    "step_of",
]
