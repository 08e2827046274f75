"""Paint shapes: draw the coverage on a mask of higher resolution, then blend once.

One blend per shape gives it the same opacity everywhere, even if its strokes overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine_visualization.drawing._colors import RGBA
from engine_visualization.drawing._pictures import pillow

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

# Lengths of dash, gap, dash, gap … in multiples of the line width.
_PATTERNS: dict[str, tuple[float, ...]] = {
    "-": (),
    "--": (3.7, 1.6),
    ":": (1.0, 1.65),
    "-.": (6.4, 1.6, 1.0, 1.6),
}
# The maximum. An image shows only an arc of a circle that would need more points.
_CIRCLE_POINTS = 1 << 16
_PATTERN_NAMES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}


@dataclass(frozen=True, kw_only=True)
class Style:
    """The colors (``None`` paints nothing), line width in pixels and opacity 0-1 of a shape."""

    edge: RGBA | None = None
    face: RGBA | None = None
    width: float = 1.0
    line: str = "-"
    alpha: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Mask:
    """A mask of a part of an image, at ``scale`` times its resolution, and a pen to draw on it."""

    pen: ImageDraw
    origin: tuple[int, int]
    scale: int

    def place(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Convert image coordinates ``(N, 2)`` to coordinates of the mask."""
        # In both, the center of pixel i is at i. So scale about its edge, at i - 0.5.
        moved = (points - self.origin + 0.5) * self.scale - 0.5
        return [(float(x), float(y)) for x, y in moved]


def paint_path(image: Image, points: np.ndarray, style: Style, *, closed: bool) -> None:
    """Paint the polygon or line through ``points`` ``(N, 2)`` on ``image``, in place."""
    if closed and style.face is not None:

        def fill(mask: Mask) -> None:
            mask.pen.polygon(mask.place(points), fill=255)

        stamp(image, points, fill, color=style.face, alpha=style.alpha)
    if style.edge is None or style.width <= 0:
        return
    pieces = _pieces(points, style, closed=closed)

    def stroke(mask: Mask) -> None:
        # Make the width odd, so that it is symmetric about the line.
        width = round(style.width * mask.scale) | 1
        for piece in pieces:
            mask.pen.line(mask.place(piece), fill=255, width=width, joint="curve")

    stamp(image, points, stroke, color=style.edge, alpha=style.alpha, reach=style.width)


def circle_points(x: float, y: float, radius: float) -> np.ndarray:
    """Return points on a circle, at most about one pixel apart, so that it looks round."""
    count = min(max(16, math.ceil(2 * math.pi * radius)), _CIRCLE_POINTS)
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def stamp(
    image: Image,
    points: np.ndarray,
    draw: Callable[[Mask], None],
    *,
    color: RGBA,
    alpha: float,
    reach: float = 0.0,
) -> None:
    """Blend a color into an image through a mask that ``draw`` fills.

    Args:
        image: The image, painted in place.
        points: The points ``(N, 2)`` that the mask contains, clipped to the image.
        draw: The function that draws the shape on the mask.
        color: The color.
        alpha: The opacity, 0-1.
        reach: The number of pixels around the points that the mask contains too.
    """
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    left, top = (max(0, math.floor(value)) for value in low)
    right, bottom = (
        min(size, math.ceil(value) + 1) for value, size in zip(high, image.size, strict=True)
    )
    if right <= left or bottom <= top:
        return
    scale = _mask_scale((right - left) * (bottom - top))
    coverage = pillow("Image").new("L", ((right - left) * scale, (bottom - top) * scale), 0)
    draw(Mask(pen=pillow("ImageDraw").Draw(coverage), origin=(left, top), scale=scale))
    opacity = alpha * color[3] / 255
    # The mean of scale x scale pixels of the mask is the coverage of one pixel. It smooths edges.
    coverage = coverage.reduce(scale).point(lambda value: value * opacity)
    image.paste(color[:3], (left, top), coverage)


def _mask_scale(pixels: int) -> int:
    """Return the scale of a mask, which is higher for smaller shapes, to limit the memory."""
    # With an odd scale, the center of each pixel is the center of a pixel of the mask.
    return 5 if pixels <= 1 << 21 else 3 if pixels <= 1 << 23 else 1


def _pieces(points: np.ndarray, style: Style, *, closed: bool) -> list[np.ndarray]:
    """Return the strokes of a path in its line style."""
    path = np.concatenate([points, points[:1]]) if closed else points
    pattern = np.array(line_pattern(style.line)) * style.width
    if not len(pattern):
        # Pillow rounds the corners between two lines only. Repeat the second point, so that the
        # closing corner is between two lines.
        return [np.concatenate([path, points[1:2]]) if closed else path]
    # `marks` has the distance of each point from the start, along the path. `bounds` has the ends
    # of the dashes and gaps of one period, which repeats until the end of the path.
    marks = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    bounds = np.concatenate([[0.0], np.cumsum(pattern)])
    return [
        _cut(path, marks, start + begin, min(start + end, marks[-1]))
        for start in np.arange(0.0, marks[-1], bounds[-1])
        for begin, end in zip(bounds[:-1:2], bounds[1::2], strict=True)
        if start + begin < marks[-1]
    ]


def _cut(path: np.ndarray, marks: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Return the part of a path between two distances from its start."""
    ends = np.stack([np.interp([begin, end], marks, path[:, axis]) for axis in (0, 1)], axis=1)
    return np.concatenate([ends[:1], path[(marks > begin) & (marks < end)], ends[1:]])


def line_pattern(name: str) -> tuple[float, ...]:
    """Return the dashes and gaps of a line style, in multiples of the line width.

    Raises:
        ValueError: The style is unknown.
    """
    try:
        return _PATTERNS[_PATTERN_NAMES.get(name, name)]
    except KeyError:
        choices = ", ".join(map(repr, [*_PATTERNS, *_PATTERN_NAMES]))
        raise ValueError(f"line style must be one of {choices}, got {name!r}") from None
