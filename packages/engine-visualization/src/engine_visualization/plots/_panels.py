"""Draw curves in panels, as one figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine_visualization.plots._end_labels import EndLabel, EndLabels, height_of, wrap
from engine_visualization.plots._figure import DPI, INK, lay_out, new_figure, style_axes

_COLUMNS = 3
_PANEL_INCHES = (4.6, 3.3)
_FRAME_INCHES = 0.9  # the height of a title and of the ticks below a panel
_LABEL_INCHES = 0.075  # the width of a character of a label
_TITLE_WRAP = 44
_MARKED_UP_TO = 50  # points; more would hide the line
_PIXELS = 2**16  # the largest width and height that matplotlib draws


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve of a panel. NaN is a gap.

    ``smoothing`` is the weight of the moving average, below which the curve itself is drawn faint.

    Example:
        >>> Line(name="loss", x=[10, 20], y=[0.5, float("nan")], color="k").last
        0.5
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str
    style: str = "-"
    smoothing: float = 0.0
    marked: bool = False

    @property
    def last(self) -> float:
        """The last value that is not a gap."""
        return next(value for value in reversed(self.y) if not math.isnan(value))


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Curves over one x axis.

    Example:
        >>> Panel(title="loss", x_label="iteration", lines=[]).log_y
        False
    """

    title: str
    x_label: str
    lines: Sequence[Line]
    log_y: bool = False
    named: bool = True
    """Whether the labels have the names of the curves, or their last values alone."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The look of a figure: ``size`` in inches, and a legend from names to colors and styles.

    Example:
        >>> Look(title="two rates").dpi
        150
    """

    title: str = ""
    size: tuple[float, float] | None = None
    dpi: float = DPI
    legend: Mapping[str, tuple[str, str]] | None = None


def draw_panels(purpose: str, panels: Sequence[Panel], look: Look | None = None) -> Any:
    """Return a figure of panels. Texts are beside the panels, so that they cover no line.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: The panels do not fit into the figure.
    """
    look = look or Look()
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    labels = [_labels(panel) for panel in panels]
    width, height = look.size or _size(columns, rows, labels, look)
    if max(width, height) * look.dpi >= _PIXELS:
        raise ValueError(
            f"a picture must have less than {_PIXELS} pixels per side, got {len(panels)} panels; "
            "select fewer keys, or a smaller dpi"
        )
    figure = new_figure(purpose, width, height, look.dpi)
    placed = []
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        _draw_panel(axes, panel)
        placed.append(EndLabels(axes, labels[place]))
    _add_heading(figure, look)
    lay_out(figure)
    for group in placed:
        group.spread()
    return figure


def _size(
    columns: int, rows: int, labels: Sequence[Sequence[EndLabel]], look: Look
) -> tuple[float, float]:
    """Return a size in which panels keep their proportions, however much text is beside them."""
    texts = [line for group in labels for label in group for line in label.text.splitlines()]
    beside = max(map(len, texts)) * _LABEL_INCHES
    tallest = max(map(height_of, labels))
    heading = 0.25 * len(look.legend or ()) + 0.5 * bool(look.title)
    height = rows * max(_PANEL_INCHES[1], tallest + _FRAME_INCHES) + heading
    return columns * (_PANEL_INCHES[0] + beside), height


def _labels(panel: Panel) -> list[EndLabel]:
    return [
        EndLabel(
            text=f"{wrap(line.name)}  {line.last:.4g}" if panel.named else f"{line.last:.4g}",
            value=_smoothed(line)[-1] if line.smoothing else line.last,
            color=line.color,
            style=line.style,
        )
        for line in panel.lines
    ]


def _smoothed(line: Line) -> list[float]:
    return [value for value in smooth(line.y, line.smoothing) if not math.isnan(value)]


def _draw_panel(axes: Any, panel: Panel) -> None:
    for line in panel.lines:
        look = {"color": line.color, "ls": line.style}
        if line.smoothing:
            axes.plot(line.x, line.y, color=line.color, lw=0.8, alpha=0.3)
            axes.plot(line.x, smooth(line.y, line.smoothing), lw=1.8, **look)
        else:
            marker = "o" if line.marked and len(line.x) <= _MARKED_UP_TO else None
            axes.plot(line.x, line.y, lw=1.8, marker=marker, ms=4, **look)
        alone = isolated(line.y)
        axes.plot(
            [line.x[i] for i in alone], [line.y[i] for i in alone], "o", color=line.color, ms=4
        )
    style_axes(axes, wrap(panel.title, _TITLE_WRAP), panel.x_label)
    if panel.log_y:
        axes.set_yscale("log")
    _set_ticks(axes, panel)


def _set_ticks(axes: Any, panel: Panel) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    if panel.log_y:
        low, high = axes.get_ylim()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        if high / low < 20:  # there may be no power of ten to label
            axes.yaxis.set_minor_locator(
                LogLocator(subs=(2, 5) if high / low > 5 else range(2, 10))
            )
            axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(which="minor", labelsize=9, labelcolor=INK)
    if panel.x_label in {"epoch", "iteration"}:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter("{x:.0f}")


def _add_heading(figure: Any, look: Look) -> None:
    """Write the title and the legend of the whole figure above its panels."""
    if not look.legend:
        if look.title:
            figure.suptitle(
                look.title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK,
                parse_math=False,
            )  # fmt: skip
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, ls=style, lw=1.8, label=name)
        for name, (color, style) in look.legend.items()
    ]
    # "outside" makes room for the legend; the title is part of it, as both would share a place.
    legend = figure.legend(
        handles=handles, loc="outside upper left", frameon=False, fontsize=10, labelcolor=INK,
        title=look.title or None, alignment="left",
        title_fontproperties={"size": 13, "weight": "bold"},
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def isolated(values: Sequence[float]) -> list[int]:
    """Return the places of values between two gaps, of which a line shows nothing.

    Example:
        >>> isolated([1.0, float("nan"), 2.0, 3.0])
        [0]
    """
    gaps = [True, *map(math.isnan, values), True]
    return [i - 1 for i in range(1, len(gaps) - 1) if gaps[i - 1 : i + 2] == [True, False, True]]


def smooth(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Return the exponential moving average, with bias correction (Kingma & Ba, 2015).

    A gap stays a gap; the average continues after it.

    Example:
        >>> smooth([1.0, 1.0, float("nan"), 1.0], weight=0.5)
        [1.0, 1.0, nan, 1.0]
    """
    average, correction, smoothed = 0.0, 1.0, []
    for value in values:
        if math.isnan(value):
            smoothed.append(value)
            continue
        correction *= weight
        average = weight * average + (1 - weight) * value
        smoothed.append(average / (1 - correction))
    return smoothed
