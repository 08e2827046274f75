"""Choose colors for classes, tracks and outcomes."""

import colorsys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

RGB: TypeAlias = tuple[int, int, int]
_GOLDEN = 0.618033988749895  # consecutive multiples are far apart on a circle
_INVALID = (128, 128, 128)


def color_of(number: int) -> RGB:
    """Return a saturated color for a number, the same in each process and frame."""
    value = 0.95 if number % 2 else 0.75
    red, green, blue = colorsys.hsv_to_rgb((number * _GOLDEN) % 1.0, 0.75, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def class_colors(count: int, palette: Any = None) -> np.ndarray:
    """Return a color per class, ``(count, 3)``: those of the palette, then generated ones."""
    colors = np.array([color_of(number) for number in range(count)], dtype=np.uint8)
    colors = colors.reshape(count, 3)
    given = _rows_of(palette)
    colors[: len(given)] = given[:count]
    return colors


def colors_of_labels(labels: Iterable[int], palette: Any = None) -> list[RGB]:
    """Return the color of each label; gray for negative ones."""
    numbers = list(labels)
    table = class_colors(max([*numbers, -1]) + 1, palette).tolist() if numbers else []
    return [tuple(table[number]) if number >= 0 else _INVALID for number in numbers]


def _rows_of(palette: Any) -> np.ndarray:
    """Return a palette as rows of bytes; none where it has another format."""
    if not isinstance(palette, Sequence | np.ndarray) or isinstance(palette, str):
        return np.zeros((0, 3), dtype=np.uint8)
    try:
        rows = np.asarray(palette, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros((0, 3), dtype=np.uint8)
    if rows.ndim != 2 or rows.shape[1] != 3:
        return np.zeros((0, 3), dtype=np.uint8)
    return np.nan_to_num(rows).clip(0, 255).astype(np.uint8)
