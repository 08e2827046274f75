"""Write text on an image, with an optional box behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from os.path import isfile
from typing import Any, Literal, TypeAlias

import numpy as np

from engine_visualization._matplotlib import import_matplotlib
from engine_visualization.drawing._colors import RGBA, parse_color
from engine_visualization.drawing._glyphs import Font, layout
from engine_visualization.drawing._shapes import Style, paint_box, paint_path
from engine_visualization.drawing._surface import Surface
from engine_visualization.drawing._values import check_opacity

Vertical: TypeAlias = Literal["top", "center", "bottom", "baseline"]
Horizontal: TypeAlias = Literal["left", "center", "right"]

_VERTICAL = {"top": "a", "center": "m", "bottom": "d", "baseline": "s"}
_HORIZONTAL = {"left": "l", "center": "m", "right": "r"}
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
    surface: Surface,
    text: str,
    position: tuple[float, float],
    style: TextStyle,
    *,
    box: Mapping[str, Any] | None = None,
) -> None:
    """Write ``text`` at ``position`` (x, y), in place. Letters begin at whole pixels."""
    vertical = _choose(_VERTICAL, style.vertical)
    horizontal = _choose(_HORIZONTAL, style.horizontal)
    if box is not None:
        _check_box(box)
    if not text:
        return
    x, y = (round(value) for value in position)
    font = Font(family=style.family, size=max(1.0, float(style.size)), antialias=surface.antialias)
    run = layout(text, font, vertical=vertical, horizontal=horizontal)
    left, top, right, bottom = run.box
    if box is not None:
        _paint_box(surface, (x + left, y + top, x + right, y + bottom), box)
    if style.color is not None:
        surface.stamp(run.weights, (x + left, y + top), style.color)


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


def default_font_size(width: int, height: int) -> float:
    """Return a readable size for an image: 1/25 of the root of its area, at least 10."""
    return max(10.0, math.sqrt(width * height) / 25)


def _choose(choices: Mapping[str, str], name: str) -> str:
    if name not in choices:
        raise ValueError(f"text alignment must be one of {', '.join(choices)}, got {name!r}")
    return choices[name]


def _check_box(box: Mapping[str, Any]) -> None:
    unknown = sorted(set(box) - set(_BOX_KEYS))
    if unknown:
        raise ValueError(f"keys of a text box must be {', '.join(_BOX_KEYS)}, got {unknown}")


def _paint_box(
    surface: Surface, bounds: tuple[float, float, float, float], box: Mapping[str, Any]
) -> None:
    pad = float(box.get("pad", 2))
    left, top, right, bottom = bounds
    outline = (left - pad, top - pad, right + pad, bottom + pad)
    style = Style(
        face=parse_color(box.get("facecolor", "w")),
        edge=parse_color(box.get("edgecolor", "k")),
        width=float(box.get("linewidth", 1)),
        alpha=check_opacity(box.get("alpha", 1.0), "alpha of a text box"),
    )
    if str(box.get("boxstyle", "square")).startswith("round"):
        paint_path(surface, _rounded(outline, (bottom - top) / 4), style, closed=True)
    else:
        paint_box(surface, outline, style)


def _rounded(box: tuple[float, float, float, float], radius: float) -> np.ndarray:
    """Return the outline ``(N, 2)`` of a box with round corners."""
    left, top, right, bottom = box
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    arc = np.linspace(0, np.pi / 2, 2 + math.ceil(radius))
    circle = np.stack([np.cos(arc), np.sin(arc)], axis=1) * radius
    x, y = (left + radius, right - radius), (top + radius, bottom - radius)
    # Clockwise from the right end of the bottom line; each arc is a quarter turn after the last.
    corners = []
    for center in ((x[1], y[1]), (x[0], y[1]), (x[0], y[0]), (x[1], y[0])):
        corners.append(circle + center)
        circle = circle[:, ::-1] * (-1, 1)
    return np.concatenate(corners)
