"""Paint shapes: compute the coverage of each pixel, then blend once.

One blend per shape gives it the same opacity everywhere, even if its strokes overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from engine_visualization.drawing._colors import RGBA
from engine_visualization.drawing._strokes import (
    circle_points,
    clip,
    dash_weights,
    is_solid,
    ring,
    stroke,
)
from engine_visualization.drawing._surface import Surface

# Without antialiasing, thinner lines would have gaps: a line between two rows of pixels must cover
# half of one of them.
_LEAST_WIDTH = 1.45


@dataclass(frozen=True, kw_only=True)
class Style:
    """The colors (``None`` paints nothing), line width in pixels and opacity 0-1 of a shape."""

    edge: RGBA | None = None
    face: RGBA | None = None
    width: float = 1.0
    line: str = "-"
    alpha: float = 1.0


def paint_path(surface: Surface, points: np.ndarray, style: Style, *, closed: bool) -> None:
    """Paint the polygon or line through ``points`` ``(N, 2)``, in place."""
    box = _as_box(points) if closed else None
    if box is not None:
        paint_box(surface, box, style)
        return
    if closed and style.face is not None:
        _paint(surface, points, lambda scale: [points], color=style.face, alpha=style.alpha)
    _paint_line(surface, points, style, closed=closed)


def paint_circle(
    surface: Surface, center: tuple[float, float], radius: float, style: Style
) -> None:
    """Paint a circle, in place."""
    x, y = center
    points = circle_points(x, y, radius)
    if not is_solid(style.line):
        paint_path(surface, points, style, closed=True)
        return
    if style.face is not None:
        _paint(surface, points, lambda scale: [points], color=style.face, alpha=style.alpha)
    if style.edge is not None and style.width > 0:
        width = _seen_width(surface, style.width)

        def outline(scale: int) -> list[np.ndarray]:
            return [ring(x, y, abs(radius), _half(width, scale))]

        _paint(surface, points, outline, color=style.edge, alpha=style.alpha, reach=width)


def paint_box(surface: Surface, box: tuple[float, float, float, float], style: Style) -> None:
    """Paint a box (x1, y1, x2, y2), in place.

    Its solid lines lie on whole pixels, so they are sharp. They need no smoothing.
    """
    left, top, right, bottom = box
    if style.face is not None:
        area = (round(left), round(top), round(right) + 1, round(bottom) + 1)
        surface.fill(area, style.face, style.alpha)
    if style.edge is None or style.width <= 0:
        return
    width = max(1, round(style.width))
    left, top, right, bottom = (math.ceil(value - width / 2) for value in box)
    across, down = right - left, bottom - top
    # The corners belong to the horizontal lines, so that no pixel is blended twice.
    parts: tuple[tuple[int, int, int, int], ...] = (
        (left, top, right + width, top + width),
        (right, top + width, right + width, bottom),
        (left, bottom, right + width, bottom + width),
        (left, top + width, left + width, bottom),
    )
    if across <= width or down <= width:  # the lines leave nothing between them
        parts = ((left, top, right + width, bottom + width),)
    elif not is_solid(style.line):
        _paint_dashed(surface, parts, style, width)
        return
    for part in parts:
        surface.fill(part, style.edge, style.alpha)


def _paint_dashed(
    surface: Surface, parts: Iterable[tuple[int, int, int, int]], style: Style, width: int
) -> None:
    """Paint the lines of a box, clockwise from its top left corner."""
    if style.edge is None:
        return
    distance = -width / 2  # from the corner, to where the pixels of the first line begin
    for index, (left, top, right, bottom) in enumerate(parts):
        flat = index % 2 == 0
        length = right - left if flat else bottom - top
        places = distance + np.arange(length) + 0.5
        weights = dash_weights(places, width=style.width, line=style.line)
        if not surface.antialias:
            weights = np.where(weights > 127, np.uint8(255), np.uint8(0))
        if index > 1:  # the bottom line runs to the left, and the left one to the top
            weights = weights[::-1]
        shape = (width, length) if flat else (length, width)
        band = np.broadcast_to(weights if flat else weights[:, np.newaxis], shape)
        surface.stamp(np.ascontiguousarray(band), (left, top), style.edge, style.alpha)
        # A corner's pixels belong to the horizontal line, and count for it only.
        distance += length


def _paint_line(surface: Surface, points: np.ndarray, style: Style, *, closed: bool) -> None:
    is_solid(style.line)  # an unknown style raises, also where nothing is painted
    if style.edge is None or style.width <= 0:
        return
    width = _seen_width(surface, style.width)

    def outlines(scale: int) -> list[np.ndarray]:
        half = _half(width, scale)
        return stroke(points, half, width=style.width, line=style.line, closed=closed)

    _paint(surface, points, outlines, color=style.edge, alpha=style.alpha, reach=width)


def _paint(
    surface: Surface,
    points: np.ndarray,
    outlines: Callable[[int], Iterable[np.ndarray]],
    *,
    color: RGBA,
    alpha: float,
    reach: float = 0.0,
) -> None:
    """Blend a color where polygons cover the image.

    Args:
        surface: The image.
        points: The points ``(N, 2)`` around which the polygons lie.
        outlines: The function that returns the polygons for a scale of the mask.
        color: The color.
        alpha: The opacity, 0-1.
        reach: The number of pixels by which the polygons exceed the points.
    """
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    left, top = (max(0, math.floor(value)) for value in low)
    right, bottom = (
        min(size, math.ceil(value) + 1) for value, size in zip(high, surface.size, strict=True)
    )
    if right <= left or bottom <= top:
        return
    height, width = bottom - top, right - left
    scale = _mask_scale(height * width)
    # In image and mask, the center of pixel i is at i. So scale about its edge, at i - 0.5.
    # Without antialiasing, a line of two pixels on a row of pixels covers half of two other rows.
    # A shift by a tenth of a pixel decides for the upper one, as for boxes.
    edge = 0.5 if surface.antialias else 0.4
    moved = ((outline - (left, top) + edge) * scale - 0.5 for outline in outlines(scale))
    limit = (width * scale + 1.0, height * scale + 1.0)
    clipped = (clip(outline, -2.0, limit) for outline in moved)
    polygons = [outline for outline in clipped if len(outline) > 2]
    weights = surface.painter.coverage(polygons, (height, width), scale)
    if not surface.antialias:
        weights = np.where(weights > 127, np.uint8(255), np.uint8(0))
    surface.stamp(weights, (left, top), color, alpha)


def _mask_scale(pixels: int) -> int:
    """Return the scale of a mask, which is higher for smaller shapes, to limit the memory."""
    # With an odd scale, the center of each pixel is the center of a pixel of the mask.
    return 5 if pixels <= 1 << 21 else 3 if pixels <= 1 << 23 else 1


def _seen_width(surface: Surface, width: float) -> float:
    return width if surface.antialias else max(width, _LEAST_WIDTH)


def _half(width: float, scale: int) -> float:
    """Return half the width of a line, less the half pixel of the mask that its border adds."""
    return max(width - 1 / scale, 0.0) / 2 + 1e-6  # a polygon must have an area


def _as_box(points: np.ndarray) -> tuple[float, float, float, float] | None:
    """Return the box (x1, y1, x2, y2) whose corners the points are, or ``None``."""
    if len(points) == 5 and (points[0] == points[4]).all():
        points = points[:4]
    if len(points) != 4:
        return None
    x, y = points.T
    flat = x[0] == x[3] and x[1] == x[2] and y[0] == y[1] and y[2] == y[3]
    upright = x[0] == x[1] and x[2] == x[3] and y[0] == y[3] and y[1] == y[2]
    if not (flat or upright):
        return None
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
