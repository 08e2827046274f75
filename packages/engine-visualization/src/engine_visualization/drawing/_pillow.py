"""Paint with Pillow and NumPy, where OpenCV is not installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from engine_visualization.drawing._painter import RGB
from engine_visualization.drawing._pictures import pillow

_CHUNK = 1 << 16  # pixels: a blend of all rows would make copies that exceed the cache

_SMALL = 1 << 12  # values: the lines of a box are blended faster as they are


class PillowPainter:
    """Fill polygons with Pillow, and blend and resize with NumPy."""

    name = "pillow"

    def coverage(
        self, polygons: Sequence[np.ndarray], shape: tuple[int, int], scale: int
    ) -> np.ndarray:
        """Fill the polygons on a larger mask, and take the mean of its pixels."""
        height, width = shape
        mask = pillow("Image").new("L", (width * scale, height * scale), 0)
        pen = pillow("ImageDraw").Draw(mask)
        for polygon in polygons:
            # Pillow adds part of a pixel to fractional coordinates, depending on the direction.
            pen.polygon(np.rint(polygon).ravel().tolist(), fill=255)
        return np.asarray(mask.reduce(scale) if scale > 1 else mask)

    def tint(self, pixels: np.ndarray, color: RGB, opacity: float) -> None:
        """Blend in 16 bits, with opacities of 1/256."""
        if pixels.size <= _SMALL:
            pixels[...] = _blended(pixels, color, opacity)
            return
        for _, rows in _in_rows(pixels):
            rows[...] = _blended(rows, color, opacity)

    def tint_by(self, pixels: np.ndarray, color: RGB, weights: np.ndarray) -> None:
        """Blend in 16 bits."""
        added = np.tile(np.array(color, dtype=np.uint16), weights.shape[1])
        for part, rows in _in_rows(pixels):
            shares = _three(weights[part])
            blended = np.multiply(rows, 255 - shares, dtype=np.uint16)
            blended += shares * added
            # The quotient by 255, without a division: x / 255 = (x + x / 256) / 256.
            blended += 128
            blended += blended >> 8
            blended >>= 8
            rows[...] = blended

    def tint_mask(self, pixels: np.ndarray, color: RGB, opacity: float, mask: np.ndarray) -> None:
        """Blend all pixels, and copy the bits of those of the mask.

        An assignment to selected pixels takes ten times as long.
        """
        for part, rows in _in_rows(pixels):
            chosen = _three(np.negative(mask[part]))  # 255 for 1
            changes = _blended(rows, color, opacity) ^ rows
            changes &= chosen
            rows ^= changes

    def bounds(self, mask: np.ndarray) -> tuple[slice, slice] | None:
        """Search the rows, then the columns of these rows."""
        inside = np.flatnonzero(mask.view(bool).any(axis=1))
        if not len(inside):
            return None
        rows = slice(int(inside[0]), int(inside[-1]) + 1)
        across = np.flatnonzero(mask[rows].view(bool).any(axis=0))
        return rows, slice(int(across[0]), int(across[-1]) + 1)

    def resize(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Interpolate the rows, then the columns."""
        for axis, size in enumerate(shape):
            low, high, share = _neighbors(values.shape[axis], size)
            along = share.reshape(-1, *[1] * (values.ndim - axis - 1))
            first = values.take(low, axis=axis)
            step = values.take(high, axis=axis)
            step -= first
            step *= along
            first += step
            values = first
        return values

    def look_up(self, levels: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Index the table."""
        return np.asarray(table[levels])

    def mix(self, over: np.ndarray, under: np.ndarray, weight: float) -> np.ndarray:
        """Add the weighted images, in 16 bits."""
        share = round(weight * 256)
        mixed = np.multiply(over, share, dtype=np.uint16)
        mixed += np.multiply(under, 256 - share, dtype=np.uint16)
        mixed += 128
        mixed >>= 8
        return np.asarray(mixed.astype(np.uint8))


def _in_rows(pixels: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield views ``(n, 3 * w)`` of a few rows: NumPy is slow for an axis of three."""
    flat = pixels.reshape(len(pixels), -1)
    count = max(1, _CHUNK // max(1, pixels.shape[1]))
    for top in range(0, len(flat), count):
        yield slice(top, top + count), flat[top : top + count]


def _blended(rows: np.ndarray, color: RGB, opacity: float) -> np.ndarray:
    """Return the blend of pixels ``(h, w, 3)``, or of rows ``(n, 3 * w)``, with a color."""
    weight = round(opacity * 256)
    added = np.array([value * weight + 128 for value in color], dtype=np.uint16)
    blended = np.multiply(rows, 256 - weight, dtype=np.uint16)
    blended += added if rows.ndim == 3 else np.tile(added, rows.shape[1] // 3)
    blended >>= 8
    return np.asarray(blended.astype(np.uint8))


def _three(values: np.ndarray) -> np.ndarray:
    """Return each value ``(n, w)`` three times ``(n, 3 * w)``, for the channels of its pixel."""
    repeated = np.empty((*values.shape, 3), dtype=np.uint8)
    for channel in range(3):
        repeated[..., channel] = values
    return repeated.reshape(len(values), -1)


def _neighbors(size: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two source positions of each target position, and the share of the second."""
    # The centers of pixels are at i + 0.5, and the first and last pixel continue outside.
    places = np.clip((np.arange(target) + 0.5) * (size / target) - 0.5, 0, size - 1)
    low = np.minimum(places.astype(np.intp), max(size - 2, 0))
    return low, np.minimum(low + 1, size - 1), (places - low).astype(np.float32)
