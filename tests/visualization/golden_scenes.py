"""Scenes that both painters draw, and the script that stores their pictures.

Run ``python -m tests.visualization.golden_scenes`` in the root of the tree to render the files in
``golden/`` again, with OpenCV. Look at ``golden/`` before you commit them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from engine_visualization.drawing import Canvas, PainterName, draw_featmap, save_png

GOLDEN = Path(__file__).parent / "golden"
HEIGHT, WIDTH = 120, 160
# Matplotlib ships this font, so each machine has it.
FONT = str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
STYLES = ["-", "--", ":", "-."]


def background() -> np.ndarray:
    """Return an RGB image with a gradient in two of its channels."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([60 + x, 120 + y, np.full_like(x, 160)], axis=2).clip(0, 255).astype(np.uint8)


def features(channels: int = 12) -> np.ndarray:
    """Return smooth feature maps ``(C, 15, 20)``; the last channel has the largest sum."""
    y, x = np.mgrid[:15, :20]
    waves = [np.sin(x * k / 9) * np.cos(y * k / 7) + k / 5 for k in range(1, channels + 1)]
    return np.stack(waves).astype(np.float32)


def draw_boxes(canvas: Canvas) -> None:
    """Draw boxes of all widths and fills, at whole and fractional coordinates."""
    boxes = np.array([[5, 5, 40, 30], [50, 6, 90, 40], [100.3, 8.6, 150.7, 50.2], [8, 40, 30, 110]])
    canvas.draw_bboxes(boxes, ["r", "C1", "#0000ff", "w"], "-", [1, 2, 3, 5], alpha=1)
    canvas.draw_bboxes(np.array([40, 50, 95, 110]), "k", face_colors="y", alpha=0.5)
    canvas.draw_bboxes(np.array([80, 60, 140, 100]), "none", face_colors="#ff00ff80", alpha=0.8)
    canvas.draw_bboxes(np.array([[145, 60, 145, 60], [145, 70, 148, 72]]), "k", alpha=1)


def draw_dashes(canvas: Canvas) -> None:
    """Draw boxes, lines, circles and polygons in each line style."""
    left = np.arange(4) * 38 + 6
    boxes = np.stack([left, left * 0 + 5, left + 30, left * 0 + 35], axis=1)
    canvas.draw_bboxes(boxes, "r", STYLES, [2, 2, 3, 2], alpha=0.7)
    canvas.draw_circles(np.array([[20, 60], [60, 60], [100, 60], [138, 60]]), np.full(4, 16), "k",
                        STYLES, 2)  # fmt: skip
    canvas.draw_lines(np.array([[5, 150]] * 4), np.array([[80, 85], [86, 91], [92, 97], [98, 103]]),
                      "b", STYLES, [1, 2, 3, 2])  # fmt: skip
    canvas.draw_polygons(np.array([[10, 118], [80, 100], [150, 118]]), "w", "--", 2)


def draw_shapes(canvas: Canvas) -> None:
    """Draw filled and translucent circles and polygons, one of them concave."""
    canvas.draw_circles(np.array([[30, 30], [55, 30]]), np.array([22, 22]), ["k", "none"], "-", 3,
                        ["r", "b"], 0.5)  # fmt: skip
    canvas.draw_circles(np.array([[100.5, 20], [140, 25]]), np.array([0.6, 15]), "w", "-", 4)
    concave = np.array([[10, 70], [70, 65], [40, 85], [72, 112], [12, 110], [30, 90]])
    canvas.draw_polygons(concave, "w", "-", 4, "g", 0.6)
    angles = np.arange(5) * 4 * np.pi / 5
    star = np.stack([115 + 32 * np.sin(angles), 80 - 32 * np.cos(angles)], axis=1)
    canvas.draw_polygons([star, np.array([80, 60, 90, 60, 85, 68])], ["k", "r"], face_colors="y",
                         alpha=0.9)  # fmt: skip


def draw_markers(canvas: Canvas) -> None:
    """Draw points with each marker, in three sizes."""
    for row, area in enumerate((20, 64, 150)):
        for column, marker in enumerate((None, "o", ".", "s", "^", "v", "<", ">", "D", "+", "x")):
            place = np.array([9 + column * 14.2, 20 + row * 38])
            canvas.draw_points(place, "r" if marker is None else "k", marker, area)


def draw_fan(canvas: Canvas) -> None:
    """Draw lines of several widths at all angles."""
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    ends = np.stack([80 + 75 * np.cos(angles), 60 + 56 * np.sin(angles)], axis=1)
    starts = (ends - (80, 60)) * 0.25 + (80, 60)
    x, y = (
        np.stack([starts[:, 0], ends[:, 0]], axis=1),
        np.stack([starts[:, 1], ends[:, 1]], axis=1),
    )
    canvas.draw_lines(x, y, ["k", "r", "w"] * 8, "-", [1, 2, 3] * 8)


def draw_labels(canvas: Canvas) -> None:
    """Write texts in all alignments, with square, round and translucent boxes."""
    boxes: list[dict[str, Any]] = [
        {"facecolor": "k"},
        {"facecolor": "r", "edgecolor": "none", "alpha": 0.5, "pad": 4},
        {"facecolor": "b", "edgecolor": "w", "boxstyle": "round", "linewidth": 2},
    ]
    for row, vertical in enumerate(("top", "center", "baseline", "bottom")):
        for column, horizontal in enumerate(("left", "center", "right")):
            place = np.array([[4, 80, 156][column], 10 + row * 27])
            canvas.draw_texts("cat gÜ", place, 13, "w", vertical, horizontal,  # type: ignore[arg-type]  # looped over by name
                              bboxes=boxes[column], font_properties=FONT)  # fmt: skip
            canvas.draw_points(place, "y", "+", 40)
    canvas.draw_texts("two\nlines 0.9", np.array([50, 95]), 9, "#000000a0", font_properties=FONT)


def draw_masks(canvas: Canvas) -> None:
    """Blend overlapping masks with several opacities, in their order."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centers = [(40, 40), (65, 55), (100, 60), (130, 90)]
    masks = np.stack([(x - a) ** 2 + (y - b) ** 2 < 30**2 for a, b in centers])
    colors = ["r", "b", "#ffff0080", "g"]
    canvas.draw_binary_masks(masks, colors, [0.8, 0.3, 1, 1])
    canvas.draw_binary_masks(((x + y) % 8 < 2).astype(np.uint8), "k", 0.25)
    canvas.draw_binary_masks(np.zeros((HEIGHT, WIDTH)), "w", 1)


def draw_outside(canvas: Canvas) -> None:
    """Draw shapes that leave the image at each side, some by far."""
    canvas.draw_bboxes(np.array([[-20, -20, 20, 20], [140, 100, 190, 150]]), "r", "-", 4,
                       face_colors="y", alpha=0.6)  # fmt: skip
    canvas.draw_bboxes(np.array([-9, 50, 400, 70]), "b", "--", 3, alpha=0.8)
    canvas.draw_circles(np.array([[80 - 1e6, 60], [80, -1e6 + 25]]), np.full(2, 1e6), "k", "-", 3)
    canvas.draw_lines(np.array([-1e7, 1e7]), np.array([-1e7, 1e7]), "w", "-", 5)
    canvas.draw_polygons(np.array([[120, -50], [200, 60], [130, 40]]), "k", face_colors="g")
    canvas.draw_texts(["left edge", "outside"], np.array([[-18, 90], [150, 40]]), 14, "k",
                      bboxes={"facecolor": "w"}, font_properties=FONT)  # fmt: skip


DRAWINGS: dict[str, Callable[[Canvas], None]] = {
    "boxes": draw_boxes,
    "dashes": draw_dashes,
    "shapes": draw_shapes,
    "markers": draw_markers,
    "lines": draw_fan,
    "labels": draw_labels,
    "masks": draw_masks,
    "outside": draw_outside,
}
FEATMAPS: dict[str, dict[str, Any]] = {
    "featmap_mean": {"resize_shape": (90, 120)},
    "featmap_max": {"channel_reduction": "select_max"},
    "featmap_grid": {"channel_reduction": None, "topk": 5, "arrangement": (2, 3)},
    "featmap_overlaid": {"overlaid_image": background()},
    "featmap_max_overlaid": {
        "overlaid_image": background(), "channel_reduction": "select_max", "alpha": 0.3,
        "resize_shape": (60, 100),
    },
    "featmap_grid_overlaid": {
        "overlaid_image": background()[::2, ::2], "channel_reduction": None, "topk": 3,
        "arrangement": (2, 2), "alpha": 0.8,
    },
    "featmap_image": {"channel_reduction": None, "topk": 0, "resize_shape": (80, 100)},
}  # fmt: skip
SCENES = [
    *(f"{name}{kind}" for name in DRAWINGS for kind in ("", "_sharp")),
    "gray",
    *FEATMAPS,
]


def render(scene: str, painter: PainterName) -> np.ndarray:
    """Return the picture of a scene: its name, or its name and ``_sharp``."""
    if scene in FEATMAPS:
        maps = features(3 if scene == "featmap_image" else 12)
        return draw_featmap(maps, **FEATMAPS[scene], painter=painter)
    if scene == "gray":
        canvas = Canvas(background()[..., 0], painter=painter)
        DRAWINGS["shapes"](canvas)
        return canvas.get_image()
    canvas = Canvas(background(), antialias=not scene.endswith("_sharp"), painter=painter)
    DRAWINGS[scene.removesuffix("_sharp")](canvas)
    return canvas.get_image()


if __name__ == "__main__":
    for name in SCENES:
        save_png(render(name, "opencv"), GOLDEN / f"{name}.png")
