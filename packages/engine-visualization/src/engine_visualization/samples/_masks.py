"""Read, match and draw the masks of instances."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine_visualization.samples._arrays import to_array
from engine_visualization.samples._context import Context, Look, check_count
from engine_visualization.samples._notices import NotDrawable
from engine_visualization.samples._overlap import mask_overlaps


def read_masks(value: Any, context: Context) -> np.ndarray:
    """Return masks ``(N, H, W)`` of booleans, or the polygons of each instance, ``(N,)`` of lists.

    Raises:
        NotDrawable: The masks have another shape, size or values.
    """
    found = getattr(value, "masks", value)
    if isinstance(found, Sequence) and found and isinstance(found[0], list | tuple):
        return _polygons(found, context.scale)
    if hasattr(value, "to_ndarray"):
        found = value.to_ndarray()
    if isinstance(found, Sequence) and found and isinstance(found[0], dict):
        raise NotDrawable("run-length encoded masks are not decoded; decode them to arrays")
    masks = to_array(found)
    masks = masks[None] if masks.ndim == 2 and masks.size else masks
    if not masks.size:
        return np.zeros((0, context.canvas.height, context.canvas.width), dtype=bool)
    masks = _binary(check_count(masks, 3, "(N, H, W)"))
    if context.scale > 1:
        masks = masks.repeat(context.scale, axis=1).repeat(context.scale, axis=2)
    size = (context.canvas.height, context.canvas.width)
    if masks.shape[1:] != size:
        height, width = (side // context.scale for side in size)
        raise NotDrawable(f"it must have the size of the image, (N, {height}, {width}); resize it")
    return masks


def _polygons(found: Sequence[Any], scale: int) -> np.ndarray:
    polygons = np.empty(len(found), dtype=object)
    for place, parts in enumerate(found):
        outlines = [to_array(part).astype(np.float64).ravel() * scale for part in parts]
        if any(len(outline) % 2 or len(outline) < 6 for outline in outlines):
            raise NotDrawable("each polygon must have at least 3 corners, as x1, y1, x2, y2, …")
        polygons[place] = [outline.reshape(-1, 2) for outline in outlines]
    return polygons


def _binary(masks: np.ndarray) -> np.ndarray:
    if masks.dtype == bool:
        return masks
    binary: np.ndarray = masks != 0
    if not (masks[binary] == 1).all():
        raise NotDrawable("it must contain only zeros and ones; convert it with masks > 0.5")
    return binary


def mask_matches(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Return the IoU ``(N, M)`` of two sets of masks; ``None`` for polygons."""
    is_drawn = first.ndim == second.ndim == 3
    return mask_overlaps(first, second) if is_drawn else None


def mask_anchors(masks: np.ndarray) -> np.ndarray:
    """Return the point of each text ``(N, 2)``: the first column and the first row of the mask."""
    if masks.dtype == object:
        corners = [np.concatenate(parts).min(axis=0) if parts else (0, 0) for parts in masks]
        return np.array(corners, dtype=np.float64).reshape(-1, 2)
    return np.stack([masks.any(axis=1).argmax(axis=1), masks.any(axis=2).argmax(axis=1)], axis=1)


def draw_masks(context: Context, masks: np.ndarray, look: Look) -> None:
    """Draw masks."""
    if not len(masks):
        return
    if masks.dtype != object:
        context.canvas.draw_binary_masks(masks, colors=look.colors, alphas=look.alpha)
        return
    parts = [(part, color) for each, color in zip(masks, look.colors, strict=True) for part in each]
    colors = [color for _, color in parts]
    context.canvas.draw_polygons(
        [part for part, _ in parts], edge_colors=colors, face_colors=colors, alpha=look.alpha
    )
