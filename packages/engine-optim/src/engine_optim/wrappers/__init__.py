"""Optimizer wrappers: in full precision, in mixed precision, and several of them by name."""

from engine_optim.wrappers._amp import AmpOptimWrapper
from engine_optim.wrappers._dict import OptimWrapperDict
from engine_optim.wrappers._wrapper import OptimWrapper

__all__ = ["AmpOptimWrapper", "OptimWrapper", "OptimWrapperDict"]
