"""Written by scripts/compat_stubs.py."""

from engine_visualization.drawing import (
    check_type,
    check_type_and_length,
    color_str2rgb,
    color_val_matplotlib,
    img_from_canvas,
    tensor2ndarray,
    value2list,
    wait_continue,
)

__all__ = [
    "check_type",
    "check_type_and_length",
    "color_str2rgb",
    "color_val_matplotlib",
    "img_from_canvas",
    "tensor2ndarray",
    "value2list",
    "wait_continue",
]
