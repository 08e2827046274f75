"""Write text on an image, with an optional box behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from os.path import isfile
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from engine_visualization._matplotlib import import_matplotlib
from engine_visualization.drawing._colors import RGBA, parse_color
from engine_visualization.drawing._pictures import pillow
from engine_visualization.drawing._shapes import Mask, stamp

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

Vertical: TypeAlias = Literal["top", "center", "bottom", "baseline"]
Horizontal: TypeAlias = Literal["left", "center", "right"]

_VERTICAL = {"top": "a", "center": "m", "bottom": "d", "baseline": "s"}
_HORIZONTAL = {"left": "l", "center": "m", "right": "r"}
# Pillow contains one sans-serif font. The system is searched for the other fonts.
_FAMILIES = {
    "sans-serif": "DejaVuSans.ttf",
    "serif": "DejaVuSerif.ttf",
    "monospace": "DejaVuSansMono.ttf",
    "cursive": "DejaVuSerif-Italic.ttf",
    "fantasy": "DejaVuSans-Bold.ttf",
}
_BOX_KEYS = ("alpha", "boxstyle", "edgecolor", "facecolor", "linewidth", "pad")


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """The size, color, font and alignment of a text."""

    size: float
    color: RGBA | None
    family: str
    vertical: Vertical
    horizontal: Horizontal


def paint_text(
    image: Image,
    text: str,
    position: tuple[float, float],
    style: TextStyle,
    *,
    box: Mapping[str, Any] | None = None,
) -> None:
    """Write ``text`` on ``image`` at ``position`` (x, y), in place."""
    pen = pillow("ImageDraw").Draw(image)
    font = _load_font(style.family, max(1.0, float(style.size)))
    anchor = _choose(_HORIZONTAL, style.horizontal) + _choose(_VERTICAL, style.vertical)
    if box is not None:
        _paint_box(image, pen.textbbox(position, text, font=font, anchor=anchor), box)
    if style.color is not None:
        pen.text(position, text, fill=style.color[:3], font=font, anchor=anchor)


def font_file(properties: Any) -> str:
    """Return the file of a font.

    Args:
        properties: The path of the file, or a `matplotlib.font_manager.FontProperties`.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: ``properties`` is neither of these.
    """
    if isinstance(properties, str | PathLike):
        path = str(properties)
    elif hasattr(properties, "get_file"):
        path = properties.get_file() or _found_by_matplotlib(properties)
    else:
        raise TypeError(
            "font_properties must be the path of a font or a FontProperties of matplotlib, got "
            f"{properties!r}"
        )
    if not isfile(path):
        raise FileNotFoundError(
            f"font_properties must name a font that exists, got {path!r}; without them "
            "font_families choose the font"
        )
    return path


def _found_by_matplotlib(properties: Any) -> str:
    import_matplotlib("font_properties")
    from matplotlib.font_manager import findfont

    return str(findfont(properties))


def default_font_size(image: Image) -> float:
    """Return a readable size for an image: 1/25 of the root of its area, at least 10."""
    return max(10.0, math.sqrt(image.width * image.height) / 25)


@lru_cache(maxsize=64)  # opening a font takes longer than writing a text
def _load_font(family: str, size: float) -> FreeTypeFont | ImageFont:
    fonts = pillow("ImageFont")
    font: FreeTypeFont | ImageFont
    try:
        font = fonts.truetype(_FAMILIES.get(family, family), size)
    except OSError:
        font = fonts.load_default(size)
    return font


def _choose(choices: Mapping[str, str], name: str) -> str:
    if name not in choices:
        raise ValueError(f"text alignment must be one of {', '.join(choices)}, got {name!r}")
    return choices[name]


def _paint_box(
    image: Image, bounds: tuple[float, float, float, float], box: Mapping[str, Any]
) -> None:
    unknown = sorted(set(box) - set(_BOX_KEYS))
    if unknown:
        raise ValueError(f"keys of a text box must be {', '.join(_BOX_KEYS)}, got {unknown}")
    pad, width = float(box.get("pad", 2)), float(box.get("linewidth", 1))
    left, top, right, bottom = bounds
    corners = np.array([[left - pad, top - pad], [right + pad, bottom + pad]])
    radius = (bottom - top) / 4 if str(box.get("boxstyle", "square")).startswith("round") else 0.0
    face = parse_color(box.get("facecolor", "w"))
    edge = parse_color(box.get("edgecolor", "k"))

    def fill(mask: Mask) -> None:
        mask.pen.rounded_rectangle(mask.place(corners), radius * mask.scale, fill=255)

    def outline(mask: Mask) -> None:
        stroke = round(width * mask.scale) | 1  # odd, see `paint_path`
        place = mask.place(corners)
        mask.pen.rounded_rectangle(place, radius * mask.scale, outline=255, width=stroke)

    alpha = float(box.get("alpha", 1.0))
    for color, draw in ((face, fill), (edge, outline)):
        if color is not None:
            stamp(image, corners, draw, color=color, alpha=alpha, reach=width)
