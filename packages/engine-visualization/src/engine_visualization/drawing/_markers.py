"""Define the shapes of point markers."""

import numpy as np

from engine_visualization.drawing._strokes import circle_points

# Outlines for the radius 1. The y axis points down.
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "s": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    "^": [(0, -1), (1, 1), (-1, 1)],
    "v": [(-1, -1), (1, -1), (0, 1)],
    "<": [(-1, 0), (1, -1), (1, 1)],
    ">": [(1, 0), (-1, 1), (-1, -1)],
    "D": [(0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)],
}
_STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "+": [[(-1, 0), (1, 0)], [(0, -1), (0, 1)]],
    "x": [[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]],
}
_ROUND = {"o": 1.0, ".": 0.5}


def marker_outline(marker: str, x: float, y: float, radius: float) -> np.ndarray | None:
    """Return the outline ``(N, 2)`` of a filled marker, or ``None`` for a marker made of lines.

    Raises:
        ValueError: The marker is unknown.
    """
    if marker in _ROUND:
        return circle_points(x, y, radius * _ROUND[marker])
    if marker in _OUTLINES:
        return np.array(_OUTLINES[marker]) * radius + (x, y)
    if marker in _STROKES:
        return None
    choices = " ".join([*_ROUND, *_OUTLINES, *_STROKES])
    raise ValueError(f"marker must be one of {choices}, got {marker!r}")


def marker_strokes(marker: str, x: float, y: float, radius: float) -> list[np.ndarray]:
    """Return the lines ``(2, 2)`` of a marker made of lines."""
    return [np.array(line) * radius + (x, y) for line in _STROKES[marker]]
