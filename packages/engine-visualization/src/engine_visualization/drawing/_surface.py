"""Hold the pixels of an image, and choose the painter that changes them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal, TypeAlias

import numpy as np

from engine_visualization.drawing._colors import RGBA
from engine_visualization.drawing._painter import Painter

PainterName: TypeAlias = Literal["opencv", "pillow"]

_logger = logging.getLogger("engine.visualization")


def check_painter(name: str | None) -> None:
    """Check the name of a painter, without loading its library.

    Raises:
        ImportError: The painter is ``"opencv"``, and OpenCV is not installed.
        ValueError: The name is unknown.
    """
    if name not in ("opencv", "pillow", None):
        raise ValueError(f"painter must be 'opencv', 'pillow' or None, got {name!r}")
    if name == "opencv" and find_spec("cv2") is None:
        find_painter(name)


@cache
def find_painter(name: PainterName | None = None) -> Painter:
    """Return a painter by name; by default that of OpenCV where it can be imported."""
    if name != "pillow":
        # OpenCV takes a fifth of a second to load, so it is loaded for the first drawing.
        try:
            from engine_visualization.drawing._opencv import OpenCVPainter
        except ImportError as error:
            if name == "opencv":
                raise
            if not isinstance(error, ModuleNotFoundError):
                # Such as OpenCV with windows on a machine without their system libraries.
                _logger.warning("%s. Pillow draws until then, more slowly", error)
        else:
            return OpenCVPainter()
    from engine_visualization.drawing._pillow import PillowPainter

    return PillowPainter()


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The pixels ``(H, W, 3)`` of an image, and how shapes are painted on it."""

    pixels: np.ndarray
    painter: Painter
    antialias: bool = True

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def fill(self, area: tuple[int, int, int, int], color: RGBA, alpha: float = 1.0) -> None:
        """Blend a color into the pixels from (left, top) up to (right, bottom), without these."""
        left, top, right, bottom = area
        pixels = self.pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        opacity = alpha * color[3] / 255
        if pixels.size and opacity:
            self.painter.tint(pixels, color[:3], opacity)

    def stamp(
        self, weights: np.ndarray, place: tuple[int, int], color: RGBA, alpha: float = 1.0
    ) -> None:
        """Blend a color by weights ``(h, w)``, 0 to 255, whose first pixel is at ``place`` (x, y).

        Weights outside the image are left out.
        """
        left, top = place
        right, bottom = left + weights.shape[1], top + weights.shape[0]
        pixels = self.pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if not pixels.size:
            return
        height, width = pixels.shape[:2]
        weights = weights[max(0, -top) :, max(0, -left) :][:height, :width]
        opacity = alpha * color[3] / 255
        if opacity < 1:
            # All weights of one opacity need 256 products, however many pixels they have.
            levels = np.rint(np.arange(256) * opacity).astype(np.uint8)
            weights = levels[weights]
        self.painter.tint_by(pixels, color[:3], weights)
