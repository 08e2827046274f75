"""The texts of a figure cover no line and no other text."""

import io
import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine_visualization.plots._end_labels import spread, wrap
from engine_visualization.plots._figure import color_and_style
from engine_visualization.plots._panels import Line, Look, Panel, draw_panels, isolated

LONG = "decode_head.aux_{}.loss_semantic_segmentation_of_all_classes"


def line(name: str, place: int = 0, *, values: list[float] | None = None, **options: Any) -> Line:
    values = [1 / (1 + i) + place / 500 for i in range(30)] if values is None else values
    color, style = color_and_style(place)
    x = list(range(10, 10 * len(values) + 1, 10))
    return Line(name=name, x=x, y=values, color=color, style=style, **options)


def panel(*lines: Line, title: str = "training loss", **options: Any) -> Panel:
    return Panel(title=title, x_label="iteration", lines=lines, **options)


def alone(name: str) -> Panel:
    return panel(line(name, marked=True), title=name, named=False)


GAPS = [math.nan, 0.5, math.nan, 0.7, 0.6, math.nan]
FIGURES = {
    "one metric": [alone("accuracy")],
    "twelve metrics": [alone(f"metric_{i}") for i in range(12)],
    "twelve losses that end together": [panel(*(line(f"loss_{i}", i) for i in range(12)))],
    "forty losses": [panel(*(line(f"loss_{i}", i) for i in range(40)))],
    "long names": [panel(*(line(LONG.format(i), i) for i in range(12))), alone(LONG * 2)],
    "gaps": [panel(line("loss", values=GAPS), line("loss_b", 1, values=GAPS[1:]))],
    "one point": [panel(line("loss", values=[0.5])), alone("f1")],
    "equal values": [panel(*(line("loss", i, values=[2.0, 2.0]) for i in range(3)))],
    "logarithmic and smoothed": [
        panel(line("loss", smoothing=0.9), line("loss_b", 1, smoothing=0.9), log_y=True)
    ],
    "markup": [panel(line("$x_1$ {a} 100%"), line("_hidden", 1), title="$\\frac{1$")],
}


def shown_texts(figure: Any) -> list[Any]:
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for axes in figure.axes:
        texts += [axes.xaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
        texts += [axes._left_title, *axes.get_yticklabels(minor=True)]
    for legend in figure.legends:
        texts += [*legend.get_texts(), legend.get_title()]
    # An axis also has the texts of ticks beyond its limits, and draws none of them.
    drawn = {tick for axes in figure.axes for tick in _drawn_tick_labels(axes)}
    ticks = {
        text
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for text in [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
    }
    return [text for text in texts if text.get_text() and (text not in ticks or text in drawn)]


def _drawn_tick_labels(axes: Any) -> list[Any]:
    return [tick.label1 for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()]


def pixels_of(figure: Any) -> np.ndarray:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return np.asarray(Image.open(stream).convert("RGB"))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("legend", [False, True], ids=["plain", "heading"])
def test_texts_cover_neither_lines_nor_each_other(name: str, legend: bool) -> None:
    look = Look()
    if legend:
        runs = {f"run_{i}: lr={i}": color_and_style(i) for i in range(3)}
        look = Look(title="Three rates", legend=runs)
    figure = draw_panels("test", FIGURES[name], look)
    figure.draw_without_rendering()
    texts = shown_texts(figure)
    boxes = [text.get_window_extent() for text in texts]
    for text in texts:
        text.set_visible(False)
    pixels = pixels_of(figure)
    height, width = pixels.shape[:2]

    for text, box in zip(texts, boxes, strict=True):
        inside = box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
        assert inside, f"{text.get_text()!r} is outside of the picture"
        rows = slice(math.ceil(height - box.y1), math.floor(height - box.y0))
        covered = pixels[rows, math.ceil(box.x0) : math.floor(box.x1)]
        assert (covered == 255).all(), f"{text.get_text()!r} covers a line"
    for (one, first), (two, second) in combinations(zip(texts, boxes, strict=True), 2):
        overlap = min(first.x1, second.x1) - max(first.x0, second.x0) > 0.5
        overlap &= min(first.y1, second.y1) - max(first.y0, second.y0) > 0.5
        assert not overlap, f"{one.get_text()!r} and {two.get_text()!r} overlap"


def test_labels_are_in_the_order_of_their_curves() -> None:
    figure = draw_panels("test", FIGURES["twelve losses that end together"])

    labels = sorted(figure.axes[0].texts, key=lambda text: text.get_position()[1])

    assert [text.get_text().split()[0] for text in labels] == [f"loss_{i}" for i in range(12)]


def test_spread_moves_only_what_would_overlap() -> None:
    assert spread([0.1, 0.5, 0.55, 0.9], [0.1] * 4) == pytest.approx([0.1, 0.475, 0.575, 0.9])


def test_spread_stays_inside() -> None:
    assert spread([0.0, 0.0, 1.0], [0.2] * 3) == pytest.approx([0.1, 0.3, 0.9])


def test_long_names_are_wrapped_without_loss() -> None:
    wrapped = wrap(LONG + "x" * 60)

    assert wrapped.replace("\n", "") == LONG + "x" * 60
    assert max(map(len, wrapped.splitlines())) <= 26


def test_a_value_between_gaps_is_a_point() -> None:
    assert isolated(GAPS) == [1]
    assert draw_panels("test", FIGURES["one point"]).axes[0].lines[1].get_marker() == "o"
