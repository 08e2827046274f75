"""Read, match and draw boxes: axis-aligned, rotated, and quadrilaterals."""

from typing import Any

import numpy as np

from engine_visualization.samples._arrays import to_array
from engine_visualization.samples._context import Context, Look
from engine_visualization.samples._notices import NotDrawable
from engine_visualization.samples._overlap import box_overlaps, quad_overlaps

_FARTHEST = 1e6  # pixels; a box beyond is drawn to here


def read_boxes(value: Any, context: Context) -> np.ndarray:
    """Return boxes ``(N, 4)``, or the corners ``(N, 4, 2)`` of rotated boxes and quadrilaterals.

    Raises:
        NotDrawable: The shape is not ``(N, 4)``, ``(N, 5)`` or ``(N, 8)``.
    """
    rows = to_array(value).astype(np.float64)
    rows = rows[None] if rows.ndim == 1 and rows.size else rows
    if not rows.size:
        return np.zeros((0, 4))
    if rows.ndim != 2 or rows.shape[1] not in (4, 5, 8):
        raise NotDrawable(
            "it must have shape (N, 4) for corners, (N, 5) for cx, cy, w, h and an angle in "
            "radians, or (N, 8) for quadrilaterals; convert it"
        )
    if rows.shape[1] == 5:
        rows = np.concatenate([rows[:, :4] * context.scale, rows[:, 4:]], axis=1)
        return _corners(rows)
    rows = rows * context.scale
    return rows if rows.shape[1] == 4 else rows.reshape(-1, 4, 2)


def _corners(rows: np.ndarray) -> np.ndarray:
    """Return the corners of rotated boxes ``(N, 5)``; the angle turns x towards y."""
    with np.errstate(invalid="ignore"):
        cosine, sine = np.cos(rows[:, 4, None]), np.sin(rows[:, 4, None])
    across = rows[:, 2, None] / 2 * np.array([-1, 1, 1, -1])
    down = rows[:, 3, None] / 2 * np.array([-1, -1, 1, 1])
    x = rows[:, 0, None] + across * cosine - down * sine
    y = rows[:, 1, None] + across * sine + down * cosine
    corners: np.ndarray = np.stack([x, y], axis=2)
    return corners


def box_matches(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Return the IoU ``(N, M)`` of two sets of boxes."""
    with np.errstate(invalid="ignore", over="ignore"):
        if first.ndim == second.ndim == 2:
            return box_overlaps(first, second)
        return quad_overlaps(_as_quads(first), _as_quads(second))


def _as_quads(boxes: np.ndarray) -> np.ndarray:
    quads: np.ndarray = boxes
    return quads if boxes.ndim == 3 else boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def box_anchors(boxes: np.ndarray) -> np.ndarray:
    """Return the point of each text ``(N, 2)``: the top left corner, or the highest one.

    It is NaN for boxes that are left out.
    """
    corners = boxes[:, None, :2] if boxes.ndim == 2 else boxes
    highest = corners[..., 1].argmin(axis=1)
    points = corners[np.arange(len(boxes)), highest]
    anchors: np.ndarray = np.where(_are_drawn(boxes)[:, None], points, np.nan)
    return anchors


def _are_drawn(boxes: np.ndarray) -> np.ndarray:
    """Return which boxes are finite, with their corners in order."""
    valid: np.ndarray = np.isfinite(boxes).reshape(len(boxes), -1).all(axis=1)
    if boxes.ndim == 2:
        with np.errstate(invalid="ignore"):
            valid &= (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    return valid


def draw_boxes(context: Context, boxes: np.ndarray, look: Look) -> None:
    """Draw boxes; those that are not finite, or whose corners are in the wrong order, are left out.

    Raises:
        NotDrawable: Some are left out; the others are drawn.
    """
    valid = _are_drawn(boxes)
    kept, shown = boxes[valid].clip(-_FARTHEST, _FARTHEST), look.of(valid)
    style: dict[str, Any] = {"edge_colors": shown.colors, "line_styles": shown.line_style}
    if len(kept) and boxes.ndim == 2:
        context.canvas.draw_bboxes(kept, **style)
    elif len(kept):
        context.canvas.draw_polygons(list(kept), **style)
    if not valid.all():
        raise NotDrawable(
            "some boxes are not finite, or have x1 > x2 or y1 > y2; they are left out. Pass "
            "(x1, y1, x2, y2)"
        )
