"""Plot the curves of a run: losses, validation metrics and learning rates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from engine_fileio import put
from engine_visualization.plots._figure import COLORS, INK, new_figure, png_of, style_axes
from engine_visualization.plots._scalars import Curve, read_scalars

_COLUMNS = 3
_PANEL_INCHES = (4.6, 3.3)
# A loss with at least this many points is drawn faint, below its moving average.
_SMOOTHED_FROM = 100


@dataclass(frozen=True, kw_only=True)
class _Panel:
    title: str
    unit: str
    curves: dict[str, Curve]
    is_metric: bool = False


def plot_curves(scalars_json: str | PathLike[str], out_png: str | PathLike[str]) -> str:
    """Plot the losses, validation metrics and learning rates of a run in one image.

    The extra ``plots`` is required. Both paths may be on any storage of engine-fileio.

    Args:
        scalars_json: The file of `LocalVisBackend`, ``vis_data/scalars.json``.
        out_png: The path of the image.

    Returns:
        The path of the image.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: The file is malformed, or has nothing to plot.
    """
    scalars = read_scalars(scalars_json)
    panels = [
        _Panel(title="training loss", unit="iteration", curves=scalars.losses),
        *(
            _Panel(title=name, unit=scalars.metric_unit, curves={name: curve}, is_metric=True)
            for name, curve in sorted(scalars.metrics.items())
        ),
        _Panel(title="learning rate", unit="iteration", curves=_without_echo(scalars.rates)),
    ]
    picture = _render([panel for panel in panels if panel.curves])
    put(picture, fspath(out_png))
    return fspath(out_png)


def _without_echo(rates: dict[str, Curve]) -> dict[str, Curve]:
    """Return the rates, without ``base_lr`` if it equals ``lr``."""
    if "lr" in rates and rates.get("base_lr") == rates["lr"]:
        return {name: curve for name, curve in rates.items() if name != "base_lr"}
    return rates


def _render(panels: Sequence[_Panel]) -> bytes:
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = columns * _PANEL_INCHES[0], rows * _PANEL_INCHES[1]
    figure = new_figure("plot_curves", width, height)
    for place, panel in enumerate(panels, start=1):
        _draw_panel(figure.add_subplot(rows, columns, place), panel)
    return png_of(figure)


def _draw_panel(axes: Any, panel: _Panel) -> None:
    for place, (name, curve) in enumerate(_main_first(panel.curves)):
        color = COLORS[place % len(COLORS)]
        if panel.is_metric:
            axes.plot(curve.steps, curve.values, color=color, lw=1.8, marker="o", ms=4)
        elif panel.title == "training loss" and len(curve.values) >= _SMOOTHED_FROM:
            axes.plot(curve.steps, curve.values, color=color, lw=0.8, alpha=0.3)
            axes.plot(curve.steps, _smooth(curve.values), color=color, lw=1.8, label=name)
        else:
            axes.plot(curve.steps, curve.values, color=color, lw=1.8, label=name)
    _style(axes, panel)
    if panel.is_metric:
        _mark_last(axes, next(iter(panel.curves.values())))
    elif len(panel.curves) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _main_first(curves: dict[str, Curve]) -> list[tuple[str, Curve]]:
    return sorted(curves.items(), key=lambda item: (item[0] not in {"loss", "lr"}, item[0]))


def _style(axes: Any, panel: _Panel) -> None:
    style_axes(axes, panel.title, panel.unit)
    # A loss often falls fast at first; a linear axis would hide the rest of it.
    values = [
        value for curve in panel.curves.values() for value in curve.values if not math.isnan(value)
    ]
    if panel.title == "training loss" and min(values) > 0 and max(values) / min(values) > 100:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    if panel.title == "learning rate":
        axes.yaxis.set_major_formatter("{x:.3g}")
    if panel.unit == "epoch":
        axes.locator_params(axis="x", integer=True)


def _mark_last(axes: Any, curve: Curve) -> None:
    """Write the last value next to its point."""
    points = [
        point for point in zip(curve.steps, curve.values, strict=True) if not math.isnan(point[1])
    ]
    axes.annotate(
        f"{points[-1][1]:.4g}",
        points[-1],
        xytext=(0, -9),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9.5,
        color=INK,
    )


def _smooth(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Return the exponential moving average, with bias correction (Kingma & Ba, 2015).

    A gap stays a gap; the average continues after it.
    """
    average, count, smoothed = 0.0, 0, []
    for value in values:
        if math.isnan(value):
            smoothed.append(value)
            continue
        count += 1
        average = weight * average + (1 - weight) * value
        smoothed.append(average / (1 - weight**count))
    return smoothed
