"""Measure drawing on an image of 800 x 1200, beside the way it was drawn before and supervision.

Prints medians in milliseconds for 50 boxes, 50 labels, 50 masks and a feature map of 256 channels,
with OpenCV and with Pillow, with and without antialiasing, and their ratios to the former way (each
shape on a mask of Pillow, at five times the resolution; the channels resized before they are
reduced) and to supervision. The rounds of all ways alternate. The scores in the labels differ in
each round. Run ``pip install supervision`` first for its column.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

from engine_visualization.drawing import Canvas, PainterName, draw_featmap, parse_color

ROUNDS, FORMER_ROUNDS = 41, 3  # the former way is slow
COUNT, HEIGHT, WIDTH = 50, 800, 1200
FONT_SIZE = 16
NAMES = ("person", "car", "dog", "traffic light")
COLORS = [f"C{index % 10}" for index in range(COUNT)]
MAPS = [(256, 100, 150), (256, 200, 300)]
GOALS = {"boxes": 1.5, "labels": 2.0, "masks": 60.0, "full masks": 60.0}
GOALS |= {f"featmap {channels}x{height}x{width}": 20.0 for channels, height, width in MAPS}

rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
CORNERS = rng.uniform((0, 0), (1000, 600), (COUNT, 2))
BOXES = np.hstack([CORNERS, CORNERS + rng.uniform(40, 200, (COUNT, 2))])
Call = Callable[[], object]


def make_masks(boxes: np.ndarray) -> np.ndarray:
    """Return one ellipse per box ``(N, H, W)``."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    left, top, right, bottom = (side[:, np.newaxis, np.newaxis] for side in boxes.T)
    across, down = (right - left) / 2, (bottom - top) / 2
    inside = ((x - left - across) / across) ** 2 + ((y - top - down) / down) ** 2 < 1
    return np.asarray(inside)


MASKS = make_masks(BOXES)
FULL = np.repeat(make_masks(np.array([[0, 0, WIDTH, HEIGHT]])), COUNT, axis=0)
FEATURES = {f"featmap {c}x{h}x{w}": rng.random((c, h, w), dtype=np.float32) for c, h, w in MAPS}


def labels() -> list[str]:
    """Return names of classes with random scores."""
    scores = rng.uniform(size=COUNT)
    return [f"{NAMES[index % 4]} {score:.2f}" for index, score in enumerate(scores)]


def ours(painter: PainterName, *, antialias: bool) -> dict[str, Call]:
    """Return what this package draws."""
    canvas = Canvas(IMAGE, antialias=antialias, painter=painter)
    behind: list[Any] = [{"facecolor": color} for color in COLORS]
    calls: dict[str, Call] = {
        "boxes": lambda: canvas.draw_bboxes(BOXES, edge_colors=COLORS),
        "labels": lambda: canvas.draw_texts(
            labels(), CORNERS, font_sizes=FONT_SIZE, colors="w", bboxes=behind
        ),
        "masks": lambda: canvas.draw_binary_masks(MASKS, colors=COLORS),
        "full masks": lambda: canvas.draw_binary_masks(FULL, colors=COLORS),
    }
    for name, maps in FEATURES.items():
        calls[name] = partial(draw_featmap, maps, IMAGE, painter=painter)
    return calls


def former() -> dict[str, Call]:
    """Return the former way to draw the same."""
    picture = Image.fromarray(IMAGE)
    colors = [(parse_color(color) or (0, 0, 0, 0))[:3] for color in COLORS]
    calls: dict[str, Call] = {
        "boxes": lambda: former_boxes(picture, colors),
        "labels": lambda: former_labels(picture, colors),
        "masks": lambda: former_masks(picture, MASKS, colors),
        "full masks": lambda: former_masks(picture, FULL, colors),
    }
    for name, maps in FEATURES.items():
        calls[name] = partial(former_featmap, torch.from_numpy(maps))
    return calls


def former_boxes(picture: Image.Image, colors: list[Any]) -> None:
    """Draw each box on a mask of five times its size."""
    for (left, top, right, bottom), color in zip(BOXES, colors, strict=True):
        x, y = int(left) - 2, int(top) - 2
        size = (int(right) + 3 - x, int(bottom) + 3 - y)
        mask = Image.new("L", (size[0] * 5, size[1] * 5))
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        path = [(float(a - x) * 5 + 2, float(b - y) * 5 + 2) for a, b in [*corners, corners[1]]]
        ImageDraw.Draw(mask).line(path, fill=255, width=11, joint="curve")
        picture.paste(color, (x, y), mask.reduce(5).point(lambda value: value * 0.8))


def former_labels(picture: Image.Image, colors: list[Any]) -> None:
    """Draw the box of each text on a mask of five times its size, then the text."""
    pen, font = ImageDraw.Draw(picture), former_font()
    for text, place, color in zip(labels(), CORNERS.tolist(), colors, strict=True):
        left, top, right, bottom = pen.textbbox(place, text, font=font, anchor="la")
        size = (int(right - left) + 5, int(bottom - top) + 5)
        for tint, look in ((color, {"fill": 255}), ((0, 0, 0), {"outline": 255, "width": 5})):
            mask = Image.new("L", (size[0] * 5, size[1] * 5))
            ImageDraw.Draw(mask).rectangle((0, 0, size[0] * 5, size[1] * 5), **look)
            picture.paste(tint, (int(left) - 2, int(top) - 2), mask.reduce(5).point(lambda v: v))
        pen.text(place, text, fill=(255, 255, 255), font=font, anchor="la")


def former_font() -> Any:
    """Return the font that a canvas uses."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", FONT_SIZE)
    except OSError:
        return ImageFont.load_default(FONT_SIZE)


def former_masks(picture: Image.Image, masks: np.ndarray, colors: list[Any]) -> None:
    """Check all values, and paste each mask on the whole image."""
    if not np.isin(masks, (0, 1)).all():
        raise ValueError("masks must contain only zeros and ones")
    for mask, color in zip(masks, colors, strict=True):
        picture.paste(color, mask=Image.fromarray(mask.astype(np.uint8) * 204))


def former_featmap(maps: torch.Tensor) -> np.ndarray:
    """Resize all channels, then reduce and color them in double precision."""
    resized = functional.interpolate(maps[None], size=(HEIGHT, WIDTH), mode="bilinear")[0]
    mean = resized.mean(dim=0)
    levels = ((mean - mean.min()) / (mean.max() - mean.min())).numpy()
    stops, heat = np.linspace(0, 1, 9), rng.uniform(0, 255, (9, 3))
    picture = np.stack([np.interp(levels, stops, heat[:, i]) for i in range(3)], axis=2)
    return np.asarray((0.5 * picture + 0.5 * IMAGE).round().astype(np.uint8))


def of_supervision() -> dict[str, Call]:
    """Return what supervision draws: boxes, labels and masks."""
    library = import_module("supervision")
    image, by_index = IMAGE.copy(), library.ColorLookup.INDEX
    boxes = library.Detections(xyxy=BOXES, mask=MASKS, class_id=np.arange(COUNT) % 4)
    full = library.Detections(xyxy=BOXES, mask=FULL, class_id=np.arange(COUNT) % 4)
    box = library.BoxAnnotator(thickness=2, color_lookup=by_index)
    text = library.LabelAnnotator(text_scale=0.5, text_padding=2, color_lookup=by_index)
    mask = library.MaskAnnotator(opacity=0.8, color_lookup=by_index)
    return {
        "boxes": lambda: box.annotate(image, boxes),
        "labels": lambda: text.annotate(image, boxes, labels=labels()),
        "masks": lambda: mask.annotate(image, boxes),
        "full masks": lambda: mask.annotate(image, full),
    }


def measure(ways: dict[str, dict[str, Call]], subject: str) -> dict[str, float]:
    """Return the median of each way in milliseconds; the ways alternate."""
    drawing = {name: calls[subject] for name, calls in ways.items() if subject in calls}
    times: dict[str, list[float]] = {name: [] for name in drawing}
    for index in range(ROUNDS + 1):
        for name, call in drawing.items():
            if name == "former" and index > FORMER_ROUNDS:
                continue
            begin = time.perf_counter()
            call()
            if index > 0:  # the first round loads fonts and fills caches
                times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Compare the ways to draw each subject."""
    torch.set_num_threads(1)
    ways: dict[str, dict[str, Call]] = {}
    painters: list[PainterName] = ["opencv", "pillow"]
    if find_spec("cv2") is None:
        painters.remove("opencv")
        print("OpenCV is not installed; run: pip install opencv-python-headless")
    for painter in painters:
        ways[painter] = ours(painter, antialias=True)
        ways[f"{painter}, sharp"] = ours(painter, antialias=False)
    ways["former"] = former()
    if find_spec("supervision") is None:
        print("supervision is not installed, so it is not measured; run: pip install supervision")
    else:
        ways["supervision"] = of_supervision()
    for subject, goal in GOALS.items():
        found = measure(ways, subject)
        print(f"{subject} (goal {goal} ms)")
        for name, value in found.items():
            to_former = found["former"] / value
            beside = found.get("supervision")
            ratio = "" if beside is None else f"  over supervision {value / beside:5.2f}"
            over = "  OVER" if name.startswith("opencv") and value > goal else ""
            print(
                f"  {name:15s} {value:8.2f} ms  {to_former:6.1f} x faster than former{ratio}{over}"
            )


if __name__ == "__main__":
    main()
