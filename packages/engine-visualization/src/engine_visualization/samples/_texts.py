"""Write labels and legends on the image of a sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine_visualization.drawing import Canvas, parse_color
from engine_visualization.drawing._glyphs import Font, layout
from engine_visualization.samples._colors import RGB
from engine_visualization.samples._options import Color


def text_size(canvas: Canvas) -> float:
    """Return the size of texts in pixels."""
    return float(np.clip(min(canvas.height, canvas.width) / 24, 9, 28))


def write_texts(
    canvas: Canvas, texts: Sequence[str], positions: np.ndarray, colors: Sequence[Color | RGB]
) -> None:
    """Write texts on boxes of the colors, inside the image."""
    if not texts:
        return
    size = text_size(canvas)
    # A text is moved to the left where it would be cut, as its end has the score.
    font = Font(family="sans-serif", size=size, antialias=True)
    ends = [layout(text, font, vertical="a", horizontal="l").box[2] for text in texts]
    right = np.maximum(canvas.width - 2.0 - np.array(ends), 1)
    below = np.full(len(texts), max(canvas.height - 1.5 * size, 1))
    canvas.draw_texts(
        list(texts),
        np.nan_to_num(positions).clip(1, np.stack([right, below], axis=1)),
        font_sizes=size,
        colors=[_ink(color) for color in colors],
        bboxes=[_behind(color) for color in colors],
    )


def write_legend(canvas: Canvas, entries: Sequence[tuple[str, Color | RGB]]) -> None:
    """Write names on their colors, from the lower left corner upwards.

    Entries without a place are counted in the last one.
    """
    step = 1.5 * text_size(canvas)
    most = max(1, int((canvas.height - 4) / step) - 2)
    shown = list(entries[:most])
    if len(entries) > most:
        shown[-1] = (f"+{len(entries) - most + 1} more", (90, 90, 90))
    lines = np.arange(len(shown), 0, -1)
    positions = np.stack([np.full(len(shown), 2.0), canvas.height - 2 - lines * step], axis=1)
    write_texts(canvas, [name for name, _ in shown], positions, [color for _, color in shown])


def _ink(color: Color | RGB) -> str:
    """Return black or white, which can be read on the color."""
    red, green, blue, _ = parse_color(color) or (0, 0, 0, 0)
    return "k" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "w"


def _behind(color: Color | RGB) -> dict[str, Any]:
    return {"facecolor": color, "edgecolor": "none", "alpha": 0.85, "pad": 1}
