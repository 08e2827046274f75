"""Written by scripts/compat_stubs.py."""

from engine_optim import (
    OPTIMIZERS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    TORCH_OPTIMIZERS,
    build_optim_wrapper,
)

__all__ = ["OPTIMIZERS", "OPTIM_WRAPPER_CONSTRUCTORS", "TORCH_OPTIMIZERS", "build_optim_wrapper"]
