"""Written by scripts/compat_stubs.py."""

from engine_utils.dl_utils import torch_meshgrid

__all__ = ["torch_meshgrid"]
