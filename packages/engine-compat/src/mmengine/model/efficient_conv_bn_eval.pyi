"""Written by scripts/compat_stubs.py."""

from engine_model import turn_on_efficient_conv_bn_eval

__all__ = ["turn_on_efficient_conv_bn_eval"]
