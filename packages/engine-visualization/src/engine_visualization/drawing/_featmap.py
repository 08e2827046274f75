"""Render feature maps as images."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from engine_visualization.drawing._painter import Painter
from engine_visualization.drawing._surface import PainterName, check_painter, find_painter
from engine_visualization.drawing._values import (
    Array,
    check_finite,
    check_opacity,
    to_image,
    to_numpy,
)

Reduction: TypeAlias = Literal["squeeze_mean", "select_max"]

# From low to high: dark blue, green, yellow. Equal steps look equal, in gray scale too.
_HEAT = np.array(
    [
        [68, 1, 84],
        [71, 44, 122],
        [59, 81, 139],
        [44, 113, 142],
        [33, 144, 141],
        [39, 173, 129],
        [92, 200, 99],
        [170, 220, 50],
        [253, 231, 37],
    ],
    dtype=np.float64,
)
_LEVELS = np.linspace(0, len(_HEAT) - 1, 256)
_TABLE = np.stack(
    [np.rint(np.interp(_LEVELS, np.arange(len(_HEAT)), channel)) for channel in _HEAT.T], axis=1
).astype(np.uint8)
_GAP = 2  # white pixels between the maps of a grid


def draw_featmap(
    featmap: Array,
    overlaid_image: np.ndarray | None = None,
    channel_reduction: Reduction | None = "squeeze_mean",
    topk: int = 20,
    arrangement: tuple[int, int] = (4, 5),
    resize_shape: tuple[int, int] | None = None,
    alpha: float = 0.5,
    *,
    painter: PainterName | None = None,
) -> np.ndarray:
    """Render a feature map as an RGB image, blended with ``overlaid_image`` if it is given.

    Args:
        featmap: Features of shape ``(C, H, W)``, an array or a tensor on any device.
        overlaid_image: RGB image below the map. Unless ``resize_shape`` is given, the map is
            resized to the image.
        channel_reduction: ``"squeeze_mean"`` for the mean over channels, ``"select_max"`` for the
            channel with the largest sum, ``None`` for a grid of channels.
        topk: Without reduction, the number of channels to show, by decreasing sum. If <= 0, a map
            of one or three channels is shown as an image.
        arrangement: Rows and columns of the grid of the ``topk`` channels.
        resize_shape: Height and width to which map and image are resized.
        alpha: Weight of the map over the image, 0-1.
        painter: ``"opencv"`` or ``"pillow"``; by default OpenCV where it is installed.

    Returns:
        An RGB image of type uint8, or a grid of such images in one.

    Raises:
        ValueError: The shape is not ``(C, H, W)``, an argument has an unknown value, a shown value
            is infinite or NaN, or the grid is too small for ``topk``.
    """
    check_opacity(alpha, "alpha")
    check_painter(painter)
    if featmap.ndim != 3 or 0 in featmap.shape:
        raise ValueError(
            f"featmap must have shape (C, H, W) without zeros, got {tuple(featmap.shape)}"
        )
    maps, used = _as_floats(featmap), find_painter(painter)
    image = None if overlaid_image is None else to_image(overlaid_image)
    shape = tuple(maps.shape[1:]) if image is None else image.shape[:2]
    if resize_shape is not None:
        shape = (int(resize_shape[0]), int(resize_shape[1]))
        image = None if image is None else _resize_image(image, shape, used)
    chosen = _choose(maps, shape, channel_reduction, topk, arrangement)
    if channel_reduction is None and topk > 0:
        return _grid(
            [_overlay(m[np.newaxis], shape, image, alpha, used) for m in chosen], arrangement
        )
    return _overlay(chosen, shape, image, alpha, used)


def _as_floats(featmap: Any) -> Any:
    """Return an array, or a tensor that is on another device and is better reduced there."""
    if not hasattr(featmap, "detach"):
        return np.asarray(featmap, dtype=np.float32)
    tensor = featmap.detach().float()
    return tensor.numpy() if tensor.device.type == "cpu" else tensor


def _choose(
    maps: Any,
    shape: tuple[int, ...],
    reduction: str | None,
    topk: int,
    arrangement: tuple[int, int],
) -> np.ndarray:
    """Return the maps to show ``(K, H, W)``, in their own size: fewer are resized then."""
    if reduction == "squeeze_mean":
        # The mean of resized maps is the resized mean.
        return to_numpy(maps.mean(0))[np.newaxis]
    if reduction not in ("select_max", None):
        raise ValueError(
            f"channel_reduction must be 'squeeze_mean', 'select_max' or None, got {reduction!r}"
        )
    if reduction is None and topk <= 0:
        return to_numpy(_check_image_channels(maps))
    if reduction is None and arrangement[0] * arrangement[1] < topk:
        raise ValueError(
            f"arrangement must hold topk={topk} channels, got {arrangement[0]} x {arrangement[1]}"
        )
    order = np.argsort(-_sums(maps, shape), kind="stable")[: 1 if reduction else topk]
    return to_numpy(maps[order.tolist()])


def _check_image_channels(maps: Any) -> Any:
    if len(maps) not in {1, 3}:
        raise ValueError(
            f"featmap must have 1 or 3 channels for topk <= 0, got {len(maps)}; "
            "pass channel_reduction or a positive topk"
        )
    return maps


def _sums(maps: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the sum of each channel after it is resized, without resizing it."""
    height, width = maps.shape[1:]
    if (height, width) == shape:
        return to_numpy(maps.sum((1, 2)))
    rows, columns = _shares(height, shape[0]), _shares(width, shape[1])
    if hasattr(maps, "new_tensor"):
        rows, columns = maps.new_tensor(rows), maps.new_tensor(columns)
    return to_numpy((maps @ columns) @ rows)


def _shares(size: int, target: int) -> Any:
    """Return how much each position adds to the sum of the positions that it is resized to."""
    places = np.clip((np.arange(target) + 0.5) * (size / target) - 0.5, 0, size - 1)
    distances = np.abs(places[:, np.newaxis] - np.arange(size))
    return np.maximum(1 - distances, 0).sum(axis=0).astype(np.float32)


def _grid(pictures: list[np.ndarray], arrangement: tuple[int, int]) -> np.ndarray:
    rows, columns = arrangement
    height, width = pictures[0].shape[:2]
    shape = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    grid = np.full(shape, 255, dtype=np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + _GAP), place % columns * (width + _GAP)
        grid[top : top + height, left : left + width] = picture
    return grid


def _overlay(
    maps: np.ndarray,
    shape: tuple[int, ...],
    image: np.ndarray | None,
    alpha: float,
    painter: Painter,
) -> np.ndarray:
    """Return one or three maps ``(K, h, w)`` as an image of a shape, blended with ``image``."""
    values = maps[0] if len(maps) == 1 else np.ascontiguousarray(maps.transpose(1, 2, 0))
    if values.shape[:2] != shape:
        values = painter.resize(values, (shape[0], shape[1]))
    low, high = check_finite(np.array([values.min(), values.max()]), "featmap")
    # The span of a constant map is 0. Such a map is shown as the lowest level.
    levels = (values - low) * np.float32(255 / (high - low) if high > low else 0)
    picture = np.rint(levels).astype(np.uint8)
    if picture.ndim == 2:
        picture = painter.look_up(picture, _TABLE)
    return picture if image is None else painter.mix(picture, image, alpha)


def _resize_image(image: np.ndarray, shape: tuple[int, int], painter: Painter) -> np.ndarray:
    return to_image(np.rint(painter.resize(image.astype(np.float32), shape)))
