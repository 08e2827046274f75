"""Paint with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from engine_utils import import_extra
from engine_visualization.drawing._painter import RGB

# This module is loaded for the first drawing, and OpenCV with it. A user's own ``opencv-python``
# is the same module.
cv2: Any = import_extra("cv2", install="engine-visualization[opencv]", purpose="painter='opencv'")


class OpenCVPainter:
    """Paint with OpenCV."""

    name = "opencv"

    def coverage(
        self, polygons: Sequence[np.ndarray], shape: tuple[int, int], scale: int
    ) -> np.ndarray:
        """Fill the polygons on a larger mask, and take the mean of its pixels."""
        height, width = shape
        mask = np.zeros((height * scale, width * scale), dtype=np.uint8)
        for polygon in polygons:
            # One call per polygon: where polygons of one call overlap, OpenCV leaves holes.
            cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], (255,))
        if scale == 1:
            return mask
        return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA))

    def tint(self, pixels: np.ndarray, color: RGB, opacity: float) -> None:
        """Blend with one linear map of the channels, which needs no image of the color."""
        if opacity == 1:
            cv2.rectangle(pixels, (0, 0), pixels.shape[1::-1], color, cv2.FILLED)
            return
        cv2.transform(pixels, _blend(color, opacity), dst=pixels)

    def tint_by(self, pixels: np.ndarray, color: RGB, weights: np.ndarray) -> None:
        """Blend in integers: a blend in floats takes twice as long."""
        # Three equal channels first: `transform` is ten times as slow from one channel to three.
        shares = cv2.cvtColor(weights, cv2.COLOR_GRAY2RGB)
        rest = cv2.multiply(pixels, cv2.bitwise_not(shares), scale=1 / 255)
        if color != (255, 255, 255):
            shares = cv2.transform(shares, _share(color))
        cv2.add(rest, shares, dst=pixels)

    def tint_mask(self, pixels: np.ndarray, color: RGB, opacity: float, mask: np.ndarray) -> None:
        """Blend all pixels, and copy those of the mask."""
        cv2.copyTo(cv2.transform(pixels, _blend(color, opacity)), mask, pixels)

    def bounds(self, mask: np.ndarray) -> tuple[slice, slice] | None:
        """Search with one call of OpenCV."""
        left, top, width, height = cv2.boundingRect(mask)
        return (slice(top, top + height), slice(left, left + width)) if width else None

    def resize(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Interpolate between the centers of pixels, as PyTorch does without ``align_corners``."""
        return np.asarray(cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR))

    def look_up(self, levels: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Look up the three channels at once."""
        return np.asarray(cv2.applyColorMap(levels, table[:, np.newaxis]))

    def mix(self, over: np.ndarray, under: np.ndarray, weight: float) -> np.ndarray:
        """Add the weighted images."""
        return np.asarray(cv2.addWeighted(over, weight, under, 1 - weight, 0))


@lru_cache(maxsize=256)  # building an array takes longer than blending the edge of a box
def _blend(color: RGB, opacity: float) -> np.ndarray:
    """Return the matrix ``(3, 4)`` that maps a pixel to its blend with a color."""
    added = np.array([[opacity * value] for value in color])
    return np.hstack([np.eye(3) * (1 - opacity), added])


@lru_cache(maxsize=256)
def _share(color: RGB) -> np.ndarray:
    """Return the matrix ``(3, 3)`` that maps a weight, three times, to its share of a color."""
    return np.diag([value / 255 for value in color])
