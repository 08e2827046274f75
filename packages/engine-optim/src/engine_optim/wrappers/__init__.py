"""Optimizer wrappers: one in full precision, one in mixed precision, and several under names."""

from engine_optim.wrappers._amp import AmpOptimWrapper
from engine_optim.wrappers._dict import OptimWrapperDict
from engine_optim.wrappers._wrapper import OptimWrapper

__all__ = ["AmpOptimWrapper", "OptimWrapper", "OptimWrapperDict"]
