"""Make pictures of Pillow from arrays, and load Pillow at the first one.

A run that draws nothing does not wait for the import.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


@cache
def pillow(module: str) -> Any:
    """Return a module of Pillow, such as ``"ImageDraw"``."""
    return import_module(f"PIL.{module}")


def as_picture(pixels: np.ndarray) -> Image:
    """Return a picture of the pixels ``(H, W, 3)`` or ``(H, W)``, uint8."""
    picture: Image = pillow("Image").fromarray(pixels)
    return picture


def save_png(pixels: np.ndarray, target: str | PathLike[str]) -> None:
    """Write the pixels ``(H, W, 3)`` or ``(H, W)``, uint8, to a file that ends in ``.png``."""
    as_picture(pixels).save(target)
