"""Compute the intersection over union of boxes, convex quadrilaterals and masks."""

import numpy as np


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU ``(N, M)`` of boxes ``(N, 4)`` and ``(M, 4)`` as ``(x1, y1, x2, y2)``."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(min=0).prod(axis=2)
    return _ratio(shared, _box_areas(first), _box_areas(second))


def mask_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU ``(N, M)`` of masks ``(N, H, W)`` and ``(M, H, W)``."""
    rows = first.reshape(len(first), -1).astype(np.float32)
    columns = second.reshape(len(second), -1).astype(np.float32)
    return _ratio(rows @ columns.T, rows.sum(axis=1), columns.sum(axis=1))


def quad_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU ``(N, M)`` of convex quadrilaterals ``(N, 4, 2)`` and ``(M, 4, 2)``.

    The corners of an intersection are the corners inside the other shape, and the crossings of the
    edges. All pairs whose bounding boxes meet are computed at once.
    """
    first, second = _turned(first), _turned(second)
    low = np.maximum(first.min(axis=1)[:, None], second.min(axis=1)[None])
    high = np.minimum(first.max(axis=1)[:, None], second.max(axis=1)[None])
    rows, columns = np.nonzero((high > low).all(axis=2))
    shared = np.zeros((len(first), len(second)))
    shared[rows, columns] = _shared_areas(first[rows], second[columns])
    return _ratio(shared, _areas(first), _areas(second))


def _box_areas(boxes: np.ndarray) -> np.ndarray:
    areas: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas


def _ratio(shared: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    union = first[:, None] + second[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0))


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    product: np.ndarray = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return product


def _areas(quads: np.ndarray) -> np.ndarray:
    areas: np.ndarray = _cross(quads, np.roll(quads, -1, axis=1)).sum(axis=1) / 2
    return areas


def _turned(quads: np.ndarray) -> np.ndarray:
    """Return the corners of all shapes in the same direction."""
    return np.where((_areas(quads) < 0)[:, None, None], quads[:, ::-1], quads)


def _shared_areas(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the areas ``(P,)`` that pairs of quadrilaterals ``(P, 4, 2)`` share."""
    if not len(first):
        return np.zeros(0)
    crossings, is_crossing = _crossings(first, second)
    points = np.concatenate([first, second, crossings], axis=1)
    valid = np.concatenate([_inside(first, second), _inside(second, first), is_crossing], axis=1)
    count = np.maximum(valid.sum(axis=1), 1)
    center = (points * valid[..., None]).sum(axis=1) / count[:, None]
    points = np.where(valid[..., None], points - center[:, None], 0.0)
    # Corners that are not there come last, where they repeat the first corner and add no area.
    angles = np.where(valid, np.arctan2(points[..., 1], points[..., 0]), np.inf)
    order = angles.argsort(axis=1)
    points = np.take_along_axis(points, order[..., None], axis=1)
    is_there = np.take_along_axis(valid, order, axis=1)[..., None]
    return _areas(np.where(is_there, points, points[:, :1]))


def _inside(points: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Return which points ``(P, K, 2)`` are inside the quadrilaterals ``(P, 4, 2)``."""
    edges = np.roll(quads, -1, axis=1) - quads
    sides = _cross(edges[:, None], points[:, :, None] - quads[:, None])
    tolerance = 1e-9 * (1 + np.abs(sides).max(axis=2, keepdims=True))
    return np.asarray((sides >= -tolerance).all(axis=2))


def _crossings(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the crossings ``(P, 16, 2)`` of all pairs of edges, and which exist."""
    one = (np.roll(first, -1, axis=1) - first)[:, :, None]
    two = (np.roll(second, -1, axis=1) - second)[:, None]
    between = second[:, None] - first[:, :, None]
    size = _cross(one, two)
    exists = np.abs(size) > 1e-12
    safe = np.where(exists, size, 1.0)
    along_one, along_two = _cross(between, two) / safe, _cross(between, one) / safe
    exists &= (along_one >= 0) & (along_one <= 1) & (along_two >= 0) & (along_two <= 1)
    points = first[:, :, None] + along_one[..., None] * one
    return points.reshape(len(first), 16, 2), exists.reshape(len(first), 16)
