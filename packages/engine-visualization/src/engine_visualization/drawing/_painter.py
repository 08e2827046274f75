"""Define what a painter does: the part of drawing for which a library is chosen."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np

RGB: TypeAlias = tuple[int, int, int]


class Painter(Protocol):
    """Fill polygons, blend colors and resize, with one library.

    ``pixels`` is a view ``(h, w, 3)`` of the image, uint8, which the methods change in place.
    ``opacity`` is from 0 to 1. Painters differ from each other by rounding only.
    """

    name: str

    def coverage(
        self, polygons: Sequence[np.ndarray], shape: tuple[int, int], scale: int
    ) -> np.ndarray:
        """Return how much of each pixel the union of the polygons covers: ``(h, w)``, 0 to 255.

        Args:
            polygons: The corners of each polygon ``(N, 2)``, in pixels of the enlarged mask.
            shape: Height and width of the result.
            scale: How many times larger the mask is, on which the polygons are filled.
        """
        ...

    def tint(self, pixels: np.ndarray, color: RGB, opacity: float) -> None:
        """Blend a color into all pixels."""
        ...

    def tint_by(self, pixels: np.ndarray, color: RGB, weights: np.ndarray) -> None:
        """Blend a color into each pixel by its weight ``(h, w)``, uint8: 255 is opaque."""
        ...

    def tint_mask(self, pixels: np.ndarray, color: RGB, opacity: float, mask: np.ndarray) -> None:
        """Blend a color into the pixels of a mask ``(h, w)`` of zeros and ones, uint8."""
        ...

    def bounds(self, mask: np.ndarray) -> tuple[slice, slice] | None:
        """Return the rows and columns around a mask ``(h, w)``, uint8; ``None`` if it is empty."""
        ...

    def resize(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Resize ``(h, w)`` or ``(h, w, 3)``, float32, with bilinear interpolation."""
        ...

    def look_up(self, levels: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Return the colors ``(h, w, 3)`` of levels ``(h, w)`` in a table ``(256, 3)``, uint8."""
        ...

    def mix(self, over: np.ndarray, under: np.ndarray, weight: float) -> np.ndarray:
        """Return the mean of two images ``(h, w, 3)``, uint8: ``over`` has the weight."""
        ...
