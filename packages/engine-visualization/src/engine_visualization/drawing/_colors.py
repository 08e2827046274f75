"""Parse the color formats of matplotlib and CSS to red, green, blue and opacity."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from engine_visualization.drawing._pictures import pillow

ColorSpec: TypeAlias = str | Sequence[float] | np.ndarray
"""A color: a name, a letter, ``#rrggbb``, a gray ``"0.5"``, or three or four numbers."""

RGBA: TypeAlias = tuple[int, int, int, int]

_LETTERS = {
    "b": "#0000ff",
    "g": "#008000",
    "r": "#ff0000",
    "c": "#00bfbf",
    "m": "#bf00bf",
    "y": "#bfbf00",
    "k": "#000000",
    "w": "#ffffff",
}
# The cycle of ten colors that most plots use, by name and by position ("C0", "C1", …).
_CYCLE = {
    "tab:blue": "#1f77b4",
    "tab:orange": "#ff7f0e",
    "tab:green": "#2ca02c",
    "tab:red": "#d62728",
    "tab:purple": "#9467bd",
    "tab:brown": "#8c564b",
    "tab:pink": "#e377c2",
    "tab:gray": "#7f7f7f",
    "tab:olive": "#bcbd22",
    "tab:cyan": "#17becf",
}
_NAMES = _LETTERS | _CYCLE | {f"C{i}": color for i, color in enumerate(_CYCLE.values())}


def parse_color(color: ColorSpec) -> RGBA | None:
    """Return a color as four integers from 0 to 255, or ``None`` for ``"none"``.

    Integers are on the scale 0-255, floats on the scale 0-1.

    Raises:
        ValueError: The color has an unknown format.
    """
    if isinstance(color, str):
        return None if color.lower() == "none" else _parse_text(color)
    return _parse_numbers(np.asarray(color))


@lru_cache(maxsize=256)
def _parse_text(text: str) -> RGBA:
    # Pillow does not parse matplotlib's format for gray, such as "0.5".
    if text.replace(".", "", 1).isdigit() and 0 <= float(text) <= 1:
        gray = round(float(text) * 255)
        return gray, gray, gray, 255
    try:
        red, green, blue, *opacity = pillow("ImageColor").getrgb(_NAMES.get(text, text))
    except ValueError as error:
        raise ValueError(
            f"color must be one of the letters {''.join(_LETTERS)}, a CSS name such as 'orange', "
            f"'#rrggbb', a gray from '0' to '1', 'C0' to 'C9', or 'none', got {text!r}"
        ) from error
    return red, green, blue, opacity[0] if opacity else 255


def _parse_numbers(values: np.ndarray) -> RGBA:
    # The type decides: (1, 1, 1) is nearly black, and (1.0, 1.0, 1.0) is white.
    scale = 1 if np.issubdtype(values.dtype, np.floating) else 255
    numeric = np.issubdtype(values.dtype, np.number)
    if not numeric or values.shape not in {(3,), (4,)} or values.min() < 0 or values.max() > scale:
        raise ValueError(
            f"color must be a string, or three or four integers 0-255 or floats 0-1, "
            f"got {values.tolist()}"
        )
    red, green, blue, *opacity = (round(float(value) * 255 / scale) for value in values)
    return red, green, blue, opacity[0] if opacity else 255
