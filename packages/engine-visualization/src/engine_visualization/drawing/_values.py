"""Convert arguments to arrays, to images, and to one value per shape."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    import torch

Array: TypeAlias = Union[np.ndarray, "torch.Tensor"]


def to_numpy(values: Any) -> np.ndarray:
    """Convert a tensor on any device, an array or a nested list to a NumPy array."""
    # A tensor is recognized by its method: arrays are drawn without PyTorch.
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    return np.asarray(values)


def to_rows(values: Any, width: int, name: str) -> np.ndarray:
    """Convert one or several rows of ``width`` numbers to floats of shape ``(N, width)``.

    Raises:
        ValueError: The shape is different, or a number is not finite.
    """
    rows = to_numpy(values).astype(np.float64)
    rows = rows[np.newaxis] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"{name} must have shape ({width},) or (N, {width}), got {rows.shape}")
    return check_finite(rows, name)


def to_outline(values: Any) -> np.ndarray:
    """Convert the corners of a polygon, ``(N, 2)`` or ``(2 * N,)``, to floats ``(N, 2)``.

    Raises:
        ValueError: The shape is different, or a number is not finite.
    """
    corners = to_numpy(values).astype(np.float64)
    if corners.size % 2 or not corners.size or (corners.ndim == 2 and corners.shape[1] != 2):
        raise ValueError(f"a polygon must have shape (N, 2) or (2 * N,), got {corners.shape}")
    return check_finite(corners.reshape(-1, 2), "polygons")


def check_finite(values: np.ndarray, name: str) -> np.ndarray:
    """Check that all values are finite, and return them.

    Raises:
        ValueError: A value is infinite or NaN.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got infinite values or NaN")
    return values


def check_size(size: float, name: str) -> float:
    """Check that a size is finite and not negative, and return it as a float.

    Raises:
        ValueError: The size is negative, infinite or NaN.
    """
    if not 0 <= size < float("inf"):
        raise ValueError(f"{name} must be >= 0 and finite, got {size}; pass such a number")
    return float(size)


def check_opacity(alpha: float, name: str) -> float:
    """Check that an opacity is between 0 and 1, and return it as a float.

    Raises:
        ValueError: The opacity is not between 0 and 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"{name} must be between 0 and 1, got {alpha}")
    return float(alpha)


def to_image(image: Any) -> np.ndarray:
    """Convert a gray ``(H, W)`` or RGB ``(H, W, 3)`` image to RGB of type uint8.

    Raises:
        ValueError: The image has another shape.
    """
    pixels = to_numpy(image)
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1):
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"image must have shape (H, W), (H, W, 1) or (H, W, 3), got {pixels.shape}"
        )
    return pixels if pixels.dtype == np.uint8 else np.clip(pixels, 0, 255).astype(np.uint8)


def spread(value: Any, count: int, name: str) -> Sequence[Any]:
    """Return one value per shape: a list as it is, or any other value ``count`` times.

    Raises:
        ValueError: The length of a list is not ``count``.
    """
    # A tuple is one value, such as a color.
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} must be one value or a list of {count}, got {len(value)}")
    return value
