"""Draw a curve as SVG, for a page without JavaScript."""

import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from engine_runner.report._reduce import Array, reduced
from engine_runner.report._scalars import Series

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 10, 30
_BUCKETS = 150


def draw(curves: Sequence[tuple[int, Series]], title: str, unit: str) -> str:
    """Return a picture of the curves of one name.

    Args:
        curves: The number of each run, which chooses its color, and its values.
        title: The name of the values, for readers that cannot see the picture.
        unit: The unit of the steps.
    """
    points = [(run, *reduced(one.steps, one.values, _BUCKETS)) for run, one in curves]
    xs = np.concatenate([steps for _, steps, _ in points])
    ys = np.concatenate([values for _, _, values in points])
    ys = ys[np.isfinite(ys)]
    if not ys.size:
        return "<p>All values are NaN.</p>"
    x_low, x_high = _range(float(xs.min()), float(xs.max()))
    y_low, y_high = _range(float(ys.min()), float(ys.max()), margin=0.05)

    def x_of(x: Array) -> Array:
        return _LEFT + (x - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(y: Array) -> Array:
        return _HEIGHT - _BOTTOM - (y - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title, quote=True)} by {unit}">'
    ]
    for tick in _ticks(y_low, y_high):
        y = float(y_of(np.array(tick)))
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for tick in _ticks(x_low, x_high):
        x = float(x_of(np.array(tick)))
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{_step(tick)}</text>'
        )
    for run, steps, values in points:
        parts.append(_line(run, x_of(steps), y_of(values)))
    return "".join([*parts, "</svg>"])


def _line(run: int, xs: Array, ys: Array) -> str:
    segments: list[str] = []
    command = "M"
    for x, y in zip(xs, ys, strict=True):
        if math.isnan(y):  # a gap
            command = "M"
            continue
        segments.append(f"{command}{x:.1f} {y:.1f}")
        command = "L"
    dots = ""
    if np.isfinite(ys).sum() <= 60:
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
            for x, y in zip(xs, ys, strict=True)
            if not math.isnan(y)
        )
    return f'<g class="s{run % 8} d{run // 8 % 3}"><path d="{"".join(segments)}"/>{dots}</g>'


def _range(low: float, high: float, margin: float = 0.0) -> tuple[float, float]:
    if low == high:
        extra = abs(low) / 2 or 1.0
        return low - extra, high + extra
    extra = (high - low) * margin
    return low - extra, high + extra


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield round numbers between two values."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step


def _step(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 10:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
