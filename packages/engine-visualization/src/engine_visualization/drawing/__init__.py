"""Draw boxes, texts, shapes, masks and feature maps on RGB images, with OpenCV or Pillow."""

from importlib import import_module
from typing import Any

from engine_visualization.drawing._arguments import (
    check_type,
    check_type_and_length,
    color_str2rgb,
    color_val_matplotlib,
    img_from_canvas,
    tensor2ndarray,
    value2list,
)
from engine_visualization.drawing._axes import DPI, Axes, Figure
from engine_visualization.drawing._canvas import Canvas
from engine_visualization.drawing._colors import parse_color
from engine_visualization.drawing._featmap import draw_featmap
from engine_visualization.drawing._pictures import as_picture, save_png
from engine_visualization.drawing._surface import PainterName
from engine_visualization.drawing._values import to_image
from engine_visualization.drawing._window import (
    can_open_window,
    show_cv2_window,
    show_window,
    wait_continue,
)

__all__ = [
    "DPI",
    "Axes",
    "Canvas",
    "Figure",
    "PainterName",
    "as_picture",
    "can_open_window",
    "check_type",
    "check_type_and_length",
    "color_str2rgb",
    "color_val_matplotlib",
    "draw_featmap",
    "draw_sample",
    "img_from_canvas",
    "parse_color",
    "save_png",
    "show_cv2_window",
    "show_window",
    "tensor2ndarray",
    "to_image",
    "value2list",
    "wait_continue",
]


def __getattr__(name: str) -> Any:
    # By this path for older code. Samples are drawn with this package, so it cannot import them.
    if name == "draw_sample":
        return import_module("engine_visualization.samples").draw_sample
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
