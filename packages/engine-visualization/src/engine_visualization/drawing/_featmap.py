"""Render feature maps as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from engine_visualization.drawing._values import Array, check_opacity, to_image

if TYPE_CHECKING:
    import torch

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
_GAP = 2  # white pixels between the maps of a grid


def draw_featmap(
    featmap: Array,
    overlaid_image: np.ndarray | None = None,
    channel_reduction: Reduction | None = "squeeze_mean",
    topk: int = 20,
    arrangement: tuple[int, int] = (4, 5),
    resize_shape: tuple[int, int] | None = None,
    alpha: float = 0.5,
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

    Returns:
        An RGB image of type uint8, or a grid of such images in one.

    Raises:
        ValueError: The shape is not ``(C, H, W)``, an argument has an unknown value, or the grid is
            too small for ``topk``.
    """
    check_opacity(alpha, "alpha")
    if featmap.ndim != 3 or 0 in featmap.shape:
        raise ValueError(
            f"featmap must have shape (C, H, W) without zeros, got {tuple(featmap.shape)}"
        )
    import torch

    maps = torch.as_tensor(featmap).detach().float().cpu()
    image = None if overlaid_image is None else to_image(overlaid_image)
    if resize_shape is not None:
        image = None if image is None else _resize_image(image, resize_shape)
        maps = _resize(maps, resize_shape)
    elif image is not None and image.shape[:2] != maps.shape[1:]:
        maps = _resize(maps, image.shape[:2])
    if channel_reduction is not None:
        return _overlay(_reduce(maps, channel_reduction), image, alpha)
    if topk <= 0:
        return _overlay(_check_image_channels(maps), image, alpha)
    return _grid(maps, image, topk=topk, arrangement=arrangement, alpha=alpha)


def _reduce(maps: torch.Tensor, reduction: str) -> torch.Tensor:
    if reduction == "squeeze_mean":
        return maps.mean(dim=0, keepdim=True)
    if reduction == "select_max":
        return maps[maps.sum(dim=(1, 2)).argmax()][None]
    raise ValueError(
        f"channel_reduction must be 'squeeze_mean', 'select_max' or None, got {reduction!r}"
    )


def _check_image_channels(maps: torch.Tensor) -> torch.Tensor:
    if len(maps) not in {1, 3}:
        raise ValueError(
            f"featmap must have 1 or 3 channels for topk <= 0, got {len(maps)}; "
            "pass channel_reduction or a positive topk"
        )
    return maps


def _grid(
    maps: torch.Tensor,
    image: np.ndarray | None,
    *,
    topk: int,
    arrangement: tuple[int, int],
    alpha: float,
) -> np.ndarray:
    rows, columns = arrangement
    if rows * columns < topk:
        raise ValueError(f"arrangement must hold topk={topk} channels, got {rows} x {columns}")
    chosen = maps.sum(dim=(1, 2)).topk(min(topk, len(maps))).indices
    height, width = maps.shape[1:]
    shape = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    picture = np.full(shape, 255, dtype=np.uint8)
    for place, channel in enumerate(chosen):
        top, left = place // columns * (height + _GAP), place % columns * (width + _GAP)
        picture[top : top + height, left : left + width] = _overlay(
            maps[channel][None], image, alpha
        )
    return picture


def _overlay(maps: torch.Tensor, image: np.ndarray | None, alpha: float) -> np.ndarray:
    import torch

    span = maps.max() - maps.min()
    # The span of a constant map is 0. Such a map is shown as the lowest level.
    levels = ((maps - maps.min()) / span if span > 0 else torch.zeros_like(maps)).numpy()
    if len(levels) == 3:
        picture = levels.transpose(1, 2, 0) * 255
    else:
        stops = np.linspace(0, 1, len(_HEAT))
        picture = np.stack([np.interp(levels[0], stops, _HEAT[:, i]) for i in range(3)], axis=2)
    if image is not None:
        picture = alpha * picture + (1 - alpha) * image
    return np.asarray(picture.round().astype(np.uint8))


def _resize(maps: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    from torch.nn import functional

    return functional.interpolate(
        maps[None], size=tuple(shape[:2]), mode="bilinear", align_corners=False
    )[0]


def _resize_image(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    import torch

    # Copy: from_numpy raises an error for negative strides, and warns about read-only arrays.
    resized = _resize(torch.from_numpy(image.copy()).permute(2, 0, 1).float(), shape)
    return to_image(resized.permute(1, 2, 0).round())
