"""Draw boxes, texts, shapes, masks and feature maps on RGB images, with Pillow."""

from engine_visualization.drawing._canvas import Canvas
from engine_visualization.drawing._colors import parse_color
from engine_visualization.drawing._featmap import draw_featmap
from engine_visualization.drawing._pictures import as_picture, save_png
from engine_visualization.drawing._samples import draw_sample
from engine_visualization.drawing._values import to_image
from engine_visualization.drawing._window import can_open_window, show_cv2_window, show_window

__all__ = [
    "Canvas",
    "as_picture",
    "can_open_window",
    "draw_featmap",
    "draw_sample",
    "parse_color",
    "save_png",
    "show_cv2_window",
    "show_window",
    "to_image",
]
