"""Read pictures as RGB arrays, from files, addresses, arrays and tensors."""

import io
from collections import OrderedDict
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from engine_fileio import get

_ENLARGED_TO = 240  # pixels of the short side, at which a text can be read


class InputError(ValueError):
    """An input cannot be read, or does not fit the pipeline."""


def read_picture(path: str) -> np.ndarray:
    """Return a picture as an RGB array of shape ``(H, W, 3)``, uint8, turned as its EXIF says.

    Args:
        path: A path, or an address that engine-fileio has a backend for.

    Raises:
        InputError: The file is not a picture, or is damaged.
        OSError: The file does not exist, or cannot be read.
    """
    content = get(path)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return as_rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        raise InputError("not a picture of a known format") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"a damaged picture, or one that cannot be read: {error}") from error


def as_rgb(picture: Image.Image) -> np.ndarray:
    """Return a picture of Pillow as an RGB array of shape ``(H, W, 3)``, uint8.

    Raises:
        InputError: A channel has more than 16 bits, whose range is unknown.
    """
    if picture.mode.startswith("I;16"):
        gray = np.asarray(picture).astype(np.uint16) >> 8  # Pillow would cut values off at 255
        return as_array(gray.astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise InputError(
            f"a picture must have 8 or 16 bits per channel, got mode {picture.mode!r}; convert it, "
            "or pass an array"
        )
    return np.asarray(picture.convert("RGB"))


def as_array(value: Any) -> np.ndarray:
    """Return the RGB array ``(H, W, 3)`` of a picture given as an array, a tensor or of Pillow.

    Args:
        value: A uint8 array of shape ``(H, W, 3)``, ``(H, W)`` or ``(H, W, 1)``, or such a tensor
            with channels first, ``(3, H, W)``; or a picture of Pillow.

    Raises:
        InputError: It has another shape or type.

    Example:
        >>> as_array(np.zeros((4, 6), dtype=np.uint8)).shape
        (4, 6, 3)
    """
    if isinstance(value, Image.Image):
        return as_rgb(value)
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
        if value.ndim == 3 and value.shape[0] in (1, 3):
            value = value.transpose(1, 2, 0)
    if value.dtype != np.uint8:
        raise InputError(
            f"an array must be of type uint8, values from 0 to 255, got {value.dtype}; for other "
            "data pass a dict, the sample that the pipeline gets"
        )
    if value.ndim == 2:
        value = value[..., None]
    if value.ndim != 3 or value.shape[2] not in (1, 3):
        raise InputError(f"an array must have shape (H, W, 3) or (H, W), got {value.shape}")
    return np.repeat(value, 3, axis=2) if value.shape[2] == 1 else value


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Return a tiny picture magnified by an integer, so that a text on it can be read.

    Args:
        picture: An array of shape ``(H, W, 3)``.

    Example:
        >>> enlarged(np.zeros((8, 16, 3), dtype=np.uint8)).shape
        (240, 480, 3)
    """
    factor = -(-_ENLARGED_TO // max(min(picture.shape[:2]), 1))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


class PictureCache:
    """The pictures that were read last, so that the drawing reads none again.

    Args:
        size: The number of pictures to keep.
    """

    def __init__(self, size: int = 32) -> None:
        self.size = size
        self._pictures: OrderedDict[str, np.ndarray] = OrderedDict()

    def read(self, path: str) -> np.ndarray:
        """Return the picture at a path or address, not to be changed."""
        if path not in self._pictures:
            self._pictures[path] = read_picture(path)
            while len(self._pictures) > max(self.size, 1):
                self._pictures.popitem(last=False)
        return self._pictures[path]

    def clear(self) -> None:
        """Drop all pictures: a file may have changed by the next call."""
        self._pictures.clear()
