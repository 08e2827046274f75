"""Painting one shape on an image: coverage on a finer mask, then one blend."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from engine_visualization.drawing._colors import RGBA

# Dash, gap, dash, gap … in multiples of the line's width.
_PATTERNS: dict[str, tuple[float, ...]] = {
    "-": (),
    "--": (3.7, 1.6),
    ":": (1.0, 1.65),
    "-.": (6.4, 1.6, 1.0, 1.6),
}
_CIRCLE_POINTS = 1 << 16  # of the largest circle, of which an image shows an arc at most
_PATTERN_NAMES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a shape looks: colours (None paints nothing), line width in pixels, opacity 0-1."""

    edge: RGBA | None = None
    face: RGBA | None = None
    width: float = 1.0
    line: str = "-"
    alpha: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Mask:
    """A part of an image, finer by ``scale``, on which a pen marks what a shape covers."""

    pen: ImageDraw.ImageDraw
    origin: tuple[int, int]
    scale: int

    def place(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Turn image coordinates (N, 2) into the mask's; pixel ``i`` has its centre at ``i``."""
        moved = (points - self.origin + 0.5) * self.scale - 0.5
        return [(float(x), float(y)) for x, y in moved]


def paint_path(image: Image.Image, points: np.ndarray, style: Style, *, closed: bool) -> None:
    """Paint the polygon or line through ``points`` (N, 2) on ``image``, in place."""
    if closed and style.face is not None:

        def fill(mask: Mask) -> None:
            mask.pen.polygon(mask.place(points), fill=255)

        stamp(image, points, fill, color=style.face, alpha=style.alpha)
    if style.edge is None or style.width <= 0:
        return
    pieces = _pieces(points, style, closed=closed)

    def stroke(mask: Mask) -> None:
        width = round(style.width * mask.scale) | 1  # odd, so that both sides are equal
        for piece in pieces:
            mask.pen.line(mask.place(piece), fill=255, width=width, joint="curve")

    stamp(image, points, stroke, color=style.edge, alpha=style.alpha, reach=style.width)


def circle_points(x: float, y: float, radius: float) -> np.ndarray:
    """Return points on a circle, close enough together to look round."""
    count = min(max(16, math.ceil(2 * math.pi * radius)), _CIRCLE_POINTS)
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def stamp(
    image: Image.Image,
    points: np.ndarray,
    draw: Callable[[Mask], None],
    *,
    color: RGBA,
    alpha: float,
    reach: float = 0.0,
) -> None:
    """Let ``draw`` mark a mask, then blend ``color`` into ``image`` through it.

    The mask spans ``points`` and ``reach`` pixels around them; what lies outside the image is cut.
    """
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    left, top = (max(0, math.floor(value)) for value in low)
    right, bottom = (
        min(size, math.ceil(value) + 1) for value, size in zip(high, image.size, strict=True)
    )
    if right <= left or bottom <= top:
        return
    scale = _mask_scale((right - left) * (bottom - top))
    coverage = Image.new("L", ((right - left) * scale, (bottom - top) * scale), 0)
    draw(Mask(pen=ImageDraw.Draw(coverage), origin=(left, top), scale=scale))
    opacity = alpha * color[3] / 255
    coverage = coverage.reduce(scale).point(lambda value: value * opacity)
    image.paste(color[:3], (left, top), coverage)


def _mask_scale(pixels: int) -> int:
    """Smooth edges where it is cheap, with masks of some 64 MB at most.

    Odd scales give every pixel's centre a place of its own on the mask.
    """
    return 5 if pixels <= 1 << 21 else 3 if pixels <= 1 << 23 else 1


def _pieces(points: np.ndarray, style: Style, *, closed: bool) -> list[np.ndarray]:
    """Cut a path into the strokes of its line style."""
    path = np.concatenate([points, points[:1]]) if closed else points
    pattern = np.array(line_pattern(style.line)) * style.width
    if not len(pattern):
        # One point more than closes the path rounds the corner where it closes.
        return [np.concatenate([path, points[1:2]]) if closed else path]
    marks = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    bounds = np.concatenate([[0.0], np.cumsum(pattern)])
    return [
        _cut(path, marks, start + begin, min(start + end, marks[-1]))
        for start in np.arange(0.0, marks[-1], bounds[-1])
        for begin, end in zip(bounds[:-1:2], bounds[1::2], strict=True)
        if start + begin < marks[-1]
    ]


def _cut(path: np.ndarray, marks: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Return the part of a path from one length along it to another."""
    ends = np.stack([np.interp([begin, end], marks, path[:, axis]) for axis in (0, 1)], axis=1)
    return np.concatenate([ends[:1], path[(marks > begin) & (marks < end)], ends[1:]])


def line_pattern(name: str) -> tuple[float, ...]:
    """Return the dashes and gaps of a line style, in multiples of the line's width.

    Raises:
        ValueError: The style is unknown.
    """
    try:
        return _PATTERNS[_PATTERN_NAMES.get(name, name)]
    except KeyError:
        choices = ", ".join(map(repr, [*_PATTERNS, *_PATTERN_NAMES]))
        raise ValueError(f"unknown line style {name!r}; use one of {choices}") from None
