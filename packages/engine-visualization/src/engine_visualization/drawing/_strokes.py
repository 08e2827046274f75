"""Convert lines to the polygons that they cover."""

import math

import numpy as np

# Lengths of dash, gap, dash, gap … in multiples of the line width.
_PATTERNS: dict[str, tuple[float, ...]] = {
    "-": (),
    "--": (3.7, 1.6),
    ":": (1.0, 1.65),
    "-.": (6.4, 1.6, 1.0, 1.6),
}
_PATTERN_NAMES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}
# The maximum. An image shows only an arc of a circle that would need more points.
_CIRCLE_POINTS = 1 << 16
_STRAIGHT = math.cos(math.radians(8))  # A turn by less leaves no gap to see between two segments.


def circle_points(x: float, y: float, radius: float) -> np.ndarray:
    """Return points on a circle, at most about one pixel apart, so that it looks round."""
    count = min(max(16, math.ceil(2 * math.pi * abs(radius))), _CIRCLE_POINTS)
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def ring(x: float, y: float, radius: float, half: float) -> np.ndarray:
    """Return the outline of a ring, ``half`` a line width to both sides of a circle."""
    outer = circle_points(x, y, radius + half)
    if radius <= half:
        return outer
    inner = circle_points(x, y, radius - half)[::-1]
    # From the outer circle to the inner one and back on the same line, which covers nothing.
    return np.concatenate([outer, outer[:1], inner[-1:], inner])


def is_solid(line: str) -> bool:
    """Return whether a line style has no gaps.

    Raises:
        ValueError: The style is unknown.
    """
    return not _pattern(line)


def stroke(
    points: np.ndarray, half: float, *, width: float, line: str, closed: bool
) -> list[np.ndarray]:
    """Return polygons whose union a line covers.

    Args:
        points: The points of the line ``(N, 2)``.
        half: Half the width of the polygons.
        width: The line width, of which dashes and gaps are multiples.
        line: The line style.
        closed: Whether the line returns to its first point.
    """
    path = np.concatenate([points, points[:1]]) if closed else points
    pattern = np.array(_pattern(line)) * width
    if not len(pattern):
        return _thicken(path, half, closed=closed)
    return [part for dash in _dashes(path, pattern) for part in _thicken(dash, half, closed=False)]


def _thicken(path: np.ndarray, half: float, *, closed: bool) -> list[np.ndarray]:
    """Return one rectangle per segment of a path, and a disc at each of its corners."""
    steps = np.diff(path, axis=0)
    lengths = np.hypot(*steps.T)
    starts, ends = path[:-1][lengths > 0], path[1:][lengths > 0]
    along = steps[lengths > 0] / lengths[lengths > 0, np.newaxis]
    across = along[:, ::-1] * (-half, half)
    sides = np.stack([starts + across, ends + across, ends - across, starts - across], axis=1)
    following = np.roll(along, -1, axis=0)
    turns = (along * following).sum(axis=1) < _STRAIGHT
    if len(turns) and not closed:
        turns[-1] = False  # The last segment of an open path has no next one.
    return [*sides, *(circle_points(x, y, half) for x, y in ends[turns])]


def _dashes(path: np.ndarray, pattern: np.ndarray) -> list[np.ndarray]:
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


def _pattern(name: str) -> tuple[float, ...]:
    """Return the dashes and gaps of a line style, in multiples of the line width."""
    try:
        return _PATTERNS[_PATTERN_NAMES.get(name, name)]
    except KeyError:
        choices = ", ".join(map(repr, [*_PATTERNS, *_PATTERN_NAMES]))
        raise ValueError(f"line style must be one of {choices}, got {name!r}") from None


def dash_weights(places: np.ndarray, *, width: float, line: str) -> np.ndarray:
    """Return how much of each pixel of a straight line its dashes cover, 0 to 255.

    Args:
        places: The distances of the pixels' centers from the start of the line ``(N,)``.
        width: The line width, of which dashes and gaps are multiples.
        line: The line style, which has gaps.
    """
    bounds = np.concatenate([[0.0], np.cumsum(_pattern(line))]) * width
    phases, covered = places % bounds[-1], np.zeros(len(places))
    # A pixel at the end of the period touches the first dash of the next one.
    for period in (0.0, bounds[-1]):
        for begin, end in zip(bounds[:-1:2] + period, bounds[1::2] + period, strict=True):
            covered += np.clip(
                np.minimum(phases + 0.5, end) - np.maximum(phases - 0.5, begin), 0.0, 1.0
            )
    return np.asarray(np.rint(np.minimum(covered, 1.0) * 255).astype(np.uint8))


def clip(polygon: np.ndarray, low: float, high: tuple[float, float]) -> np.ndarray:
    """Return the part of a polygon ``(N, 2)`` from ``low`` to ``high`` (x, y); empty if none is.

    Polygons that a drawing leaves the image with, by millions of pixels, would exceed the integers
    of OpenCV.
    """
    if (polygon >= low).all() and (polygon <= high).all():
        return polygon
    for axis, sign, limit in ((0, 1, low), (0, -1, -high[0]), (1, 1, low), (1, -1, -high[1])):
        if not len(polygon):
            break
        # The distance from the limit is positive inside. Each edge adds the point where it
        # crosses the limit, if it does, and its end, if that is inside.
        depth = sign * polygon[:, axis] - limit
        following, ends = np.roll(depth, -1), np.roll(polygon, -1, axis=0)
        crosses = (depth < 0) != (following < 0)
        share = depth / np.where(crosses, depth - following, 1.0)
        cuts = polygon + share[:, np.newaxis] * (ends - polygon)
        kept = np.stack([crosses, following >= 0], axis=1)
        polygon = np.stack([cuts, ends], axis=1)[kept]
    return polygon
