"""Blend the colors of masks into an image."""

from __future__ import annotations

import numpy as np

from engine_visualization.drawing._colors import RGBA
from engine_visualization.drawing._surface import Surface


def to_masks(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Convert masks ``(H, W)`` or ``(N, H, W)`` to zeros and ones of type uint8 ``(N, H, W)``.

    Args:
        values: The masks.
        size: Width and height of the image.

    Raises:
        ValueError: The size is that of another image, or a value is neither 0 nor 1.
    """
    width, height = size
    masks = values[np.newaxis] if values.ndim == 2 else values
    if masks.ndim != 3 or masks.shape[1:] != (height, width):
        raise ValueError(
            f"masks must have the size of the image, (N, {height}, {width}), got {masks.shape}"
        )
    if masks.dtype == np.bool_:
        return masks.view(np.uint8)
    # The largest value is enough to check bytes, and is found ten times as fast.
    is_byte = masks.dtype == np.uint8
    if masks.size and not (masks.max() <= 1 if is_byte else np.isin(masks, (0, 1)).all()):
        raise ValueError(
            f"masks must contain only zeros and ones, got {np.unique(masks)[:5].tolist()}; "
            "convert them with mask > 0"
        )
    return masks.astype(np.uint8, copy=False)


def paint_mask(surface: Surface, mask: np.ndarray, color: RGBA, alpha: float) -> None:
    """Blend a color into the pixels of a mask ``(H, W)`` of zeros and ones, in place."""
    mask = np.ascontiguousarray(mask)
    # Most masks cover a small part of the image. Only that is blended.
    area = surface.painter.bounds(mask)
    opacity = alpha * color[3] / 255
    if area is not None and opacity:
        surface.painter.tint_mask(surface.pixels[area], color[:3], opacity, mask[area])
