"""Convert batches of normalized tensors to images."""

from typing import Any

import numpy as np
import torch


def tensor2imgs(
    tensor: torch.Tensor,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    to_bgr: bool = True,
) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Convert a batch to 8-bit images and undo its normalization: ``pixel * std + mean``.

    Values are rounded and limited to [0, 255].

    Args:
        tensor: Images of shape ``(N, C, H, W)``; C is 3 (RGB) or 1 (gray).
        mean: The subtracted value per channel; zeros by default.
        std: The divisor per channel; ones by default.
        to_bgr: Swap red and blue; must be False for gray images.

    Returns:
        N arrays of shape ``(H, W, 3)``, or ``(H, W)`` for gray images.

    Raises:
        TypeError: ``tensor`` is not a tensor.
        ValueError: It has another shape, or ``mean``, ``std`` or ``to_bgr`` does not fit its
            channels.

    Example:
        >>> images = tensor2imgs(torch.zeros(2, 3, 4, 5), mean=(1.0, 2.0, 3.0))
        >>> len(images), images[0].shape, images[0][0, 0].tolist()
        (2, (4, 5, 3), [3, 2, 1])
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor must be a torch.Tensor, got {type(tensor).__name__}")
    if tensor.dim() != 4 or tensor.size(1) not in (1, 3):
        raise ValueError(
            "tensor must have the shape (N, C, H, W) with 1 or 3 channels, "
            f"got {tuple(tensor.shape)}"
        )
    channels = tensor.size(1)
    if channels == 1 and to_bgr:
        raise ValueError("to_bgr must be False for gray images, got True")
    shift = _per_channel("mean", mean, 0.0, channels)
    scale = _per_channel("std", std, 1.0, channels)
    # Half precision cannot represent all products of 8-bit values.
    pixels = tensor.detach().cpu().float() * scale + shift
    pixels = pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    if to_bgr:
        pixels = pixels.flip(-1)
    if channels == 1:
        pixels = pixels.squeeze(-1)
    # OpenCV accepts only contiguous arrays, and a permuted or flipped tensor is not contiguous.
    return list(pixels.contiguous().numpy())


def _per_channel(
    name: str, values: tuple[float, ...] | None, default: float, channels: int
) -> torch.Tensor:
    values = (default,) * channels if values is None else tuple(values)
    if len(values) != channels:
        raise ValueError(f"{name} must have {channels} values, one per channel, got {len(values)}")
    return torch.tensor(values, dtype=torch.float32).view(1, channels, 1, 1)
