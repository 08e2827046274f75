"""Render text to masks with Pillow, whichever painter draws: it has fonts for all of Unicode."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from engine_visualization.drawing._pictures import pillow

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

# Pillow contains one sans-serif font. The system is searched for the other fonts.
_FAMILIES = {
    "sans-serif": "DejaVuSans.ttf",
    "serif": "DejaVuSerif.ttf",
    "monospace": "DejaVuSansMono.ttf",
    "cursive": "DejaVuSerif-Italic.ttf",
    "fantasy": "DejaVuSans-Bold.ttf",
}
_WORDS = re.compile(r"\s*\S+\s*|\s+")
_CACHED_PIXELS = 1 << 16  # Larger texts, such as headlines, are rendered each time.


@dataclass(frozen=True, kw_only=True)
class Run:
    """A rendered text: its weights, 0 to 255, and their box relative to the origin, in pixels."""

    weights: np.ndarray
    box: tuple[int, int, int, int]
    advance: float


@dataclass(frozen=True, kw_only=True)
class Font:
    """A font of one size: a family or file."""

    family: str
    size: float
    antialias: bool

    def measure(self) -> tuple[int, int]:
        """Return the heights above and below the baseline."""
        return _metrics(self.family, self.size)


def layout(text: str, font: Font, *, vertical: str, horizontal: str) -> Run:
    """Return a rendered text, whose origin is the position that the alignment chooses.

    Args:
        text: The text.
        font: The font.
        vertical: Where the position is: ``a`` ascender, ``m`` middle, ``d`` descender, ``s``
            baseline.
        horizontal: ``l`` left, ``m`` middle, ``r`` right.
    """
    if "\n" in text:
        return _render(text, font, horizontal + vertical)
    # Labels repeat words, such as names of classes, so words are cached. Letters of other scripts
    # may depend on the words beside them.
    words = _WORDS.findall(text) if text.isascii() else [text]
    run = _join([_render(word, font, "ls") for word in words])
    ascent, descent = font.measure()
    y = {"a": ascent, "m": round((ascent - descent) / 2), "d": -descent, "s": 0}[vertical]
    x = -round({"l": 0.0, "m": 0.5, "r": 1.0}[horizontal] * run.advance)
    left, top, right, bottom = run.box
    box = (left + x, top + y, right + x, bottom + y)
    return Run(weights=run.weights, box=box, advance=run.advance)


def _join(runs: list[Run]) -> Run:
    """Return runs that follow each other as one."""
    if len(runs) == 1:
        return runs[0]
    starts, advance = [], 0.0
    for run in runs:
        starts.append(round(advance))
        advance += run.advance
    left = min(start + run.box[0] for start, run in zip(starts, runs, strict=True))
    right = max(start + run.box[2] for start, run in zip(starts, runs, strict=True))
    top, bottom = min(run.box[1] for run in runs), max(run.box[3] for run in runs)
    weights = np.zeros((bottom - top, right - left), dtype=np.uint8)
    for start, run in zip(starts, runs, strict=True):
        x, y = start + run.box[0] - left, run.box[1] - top
        height, width = run.weights.shape
        part = weights[y : y + height, x : x + width]
        np.maximum(part, run.weights, out=part)  # the boxes of words may overlap
    return Run(weights=weights, box=(left, top, right, bottom), advance=advance)


def _render(text: str, font: Font, anchor: str) -> Run:
    if font.size * font.size * len(text) > _CACHED_PIXELS:
        return _draw(text, font, anchor)
    return _cached(text, font, anchor)


@lru_cache(maxsize=512)
def _cached(text: str, font: Font, anchor: str) -> Run:
    return _draw(text, font, anchor)


def _draw(text: str, font: Font, anchor: str) -> Run:
    images, drawing = pillow("Image"), pillow("ImageDraw")
    options: dict[str, Any] = {"font": _load(font.family, font.size), "anchor": anchor}
    pen = drawing.Draw(images.new("L", (1, 1)))
    pen.fontmode = "L" if font.antialias else "1"
    left, top, right, bottom = pen.textbbox((0, 0), text, **options)
    box = (int(left // 1), int(top // 1), int(-(-right // 1)), int(-(-bottom // 1)))
    # Letters may exceed the box by a pixel, such as italic ones.
    picture = images.new("L", (max(1, box[2] - box[0]), max(1, box[3] - box[1])))
    pen = drawing.Draw(picture)
    pen.fontmode = "L" if font.antialias else "1"
    pen.text((-box[0], -box[1]), text, fill=255, **options)
    advance = 0.0 if "\n" in text else float(pen.textlength(text, font=options["font"]))
    return Run(weights=np.asarray(picture), box=box, advance=advance)


@lru_cache(maxsize=64)  # opening a font takes longer than writing a text
def _load(family: str, size: float) -> FreeTypeFont | ImageFont:
    fonts = pillow("ImageFont")
    font: FreeTypeFont | ImageFont
    try:
        font = fonts.truetype(_FAMILIES.get(family, family), size)
    except OSError:
        font = fonts.load_default(size)
    return font


@lru_cache(maxsize=64)
def _metrics(family: str, size: float) -> tuple[int, int]:
    font = _load(family, size)
    if hasattr(font, "getmetrics"):
        ascent, descent = font.getmetrics()
        return int(ascent), int(descent)
    # A Pillow without FreeType has one bitmap font.
    return int(font.getbbox("A")[3]), 0
