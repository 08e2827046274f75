"""Read and draw keypoints and their links."""

from typing import Any

import numpy as np

from engine_visualization.samples._arrays import to_array
from engine_visualization.samples._context import Context, Look, check_count
from engine_visualization.samples._notices import NotDrawable


def read_keypoints(value: Any, context: Context) -> np.ndarray:
    """Return keypoints ``(N, K, 3)``: x, y and a score or visibility, 1 where there is none.

    Raises:
        NotDrawable: The shape is not ``(N, K, 2)`` or ``(N, K, 3)``.
    """
    points = to_array(value).astype(np.float64)
    points = points[None] if points.ndim == 2 and points.size else points
    if not points.size:
        return np.zeros((0, 0, 3))
    check_count(points, 3, "(N, K, 2) or (N, K, 3)")
    if points.shape[2] not in (2, 3):
        raise NotDrawable("it must have shape (N, K, 2) or (N, K, 3); convert it")
    seen = points[..., 2:] if points.shape[2] == 3 else np.ones((*points.shape[:2], 1))
    middle = (context.scale - 1) / 2
    return np.concatenate([points[..., :2] * context.scale + middle, seen], axis=2)


def with_scores(points: np.ndarray, value: Any) -> np.ndarray:
    """Return keypoints with the scores or visibilities ``(N, K)`` of another field.

    Raises:
        NotDrawable: Its shape differs.
    """
    scores = to_array(value).astype(np.float64)
    if scores.size != points[..., 0].size:
        raise NotDrawable(f"it must have shape {points.shape[:2]}, one value per keypoint")
    return np.concatenate([points[..., :2], scores.reshape(*points.shape[:2], 1)], axis=2)


def no_matches(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Return ``None``: keypoints alone are not matched."""
    return None


def keypoint_anchors(points: np.ndarray) -> np.ndarray:
    """Return the point of each text ``(N, 2)``: the corner of the box of the keypoints."""
    if not points.size:
        return np.zeros((len(points), 2))
    anchors: np.ndarray = np.nan_to_num(points[..., :2]).min(axis=1)
    return anchors


def draw_keypoints(context: Context, points: np.ndarray, look: Look) -> None:
    """Draw links and then points, each in one call.

    Raises:
        NotDrawable: The links of the metadata have another shape; the points are drawn.
    """
    shown = np.isfinite(points).all(axis=2) & (points[..., 2] > 0)
    shown &= points[..., 2] >= context.options.keypoint_threshold
    if not shown.any():
        return
    reason = _draw_links(context, points, shown, look)
    size = max(context.canvas.height, context.canvas.width)
    owners = np.nonzero(shown)[0]
    context.canvas.draw_points(
        points[shown][:, :2],
        colors=[look.colors[owner] for owner in owners],
        sizes=float(np.clip(size / 60, 4, 12)) ** 2,
    )
    if reason:
        raise NotDrawable(reason)


def _draw_links(context: Context, points: np.ndarray, shown: np.ndarray, look: Look) -> str:
    """Draw the links of both of whose ends are shown, and return a reason why not."""
    links = context.meta.get("skeleton_links", context.meta.get("skeleton"))
    if links is None or not len(links):
        return ""
    pairs = np.asarray(links)
    is_right = pairs.ndim == 2 and pairs.shape[1] == 2 and pairs.dtype.kind in "iu"
    if not is_right or pairs.min() < 0 or pairs.max() >= points.shape[1]:
        return (
            f"skeleton_links of dataset_meta must be pairs of keypoints from 0 to "
            f"{points.shape[1] - 1}; without them, points are drawn alone"
        )
    owners, which = np.nonzero(shown[:, pairs[:, 0]] & shown[:, pairs[:, 1]])
    if len(owners):
        ends = points[owners[:, None], pairs[which]][..., :2]
        colors = [look.colors[owner] for owner in owners]
        context.canvas.draw_lines(ends[..., 0], ends[..., 1], colors=colors)
    return ""
