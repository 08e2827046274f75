"""What callers hand in, turned into arrays and into one value a shape."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

Array: TypeAlias = np.ndarray | torch.Tensor


def to_numpy(values: Any) -> np.ndarray:
    """Return a tensor on any device, an array or a nested list as a NumPy array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    return np.asarray(values)


def to_rows(values: Any, width: int, name: str) -> np.ndarray:
    """Return one row of ``width`` numbers, or several of them, as floats of shape (N, width).

    Raises:
        ValueError: The shape is another.
    """
    rows = to_numpy(values).astype(np.float64)
    rows = rows[np.newaxis] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"{name} has shape ({width},) or (N, {width}); got {rows.shape}")
    return rows


def to_image(image: Any) -> np.ndarray:
    """Return a grey (H, W) or RGB (H, W, 3) image as RGB of type uint8.

    Raises:
        ValueError: The shape is another.
    """
    pixels = to_numpy(image)
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1):
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"an image has shape (H, W), (H, W, 1) or (H, W, 3); got {pixels.shape}")
    return pixels if pixels.dtype == np.uint8 else np.clip(pixels, 0, 255).astype(np.uint8)


def spread(value: Any, count: int, name: str) -> Sequence[Any]:
    """Return one value a shape: a list as it is, anything else ``count`` times.

    Raises:
        ValueError: A list has another length.
    """
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} is one value or one for each of {count}; got {len(value)}")
    return value
