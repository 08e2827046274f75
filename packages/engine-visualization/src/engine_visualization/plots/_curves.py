"""Plot the curves of a run: losses, validation metrics and learning rates."""

import math
from os import PathLike, fspath

from engine_fileio import put
from engine_visualization.plots._figure import color_and_style, picture_of
from engine_visualization.plots._panels import Line, Panel, draw_panels
from engine_visualization.plots._scalars import Curve, RunScalars, read_scalars

# A loss with at least this many points is drawn faint, below its moving average.
SMOOTHED_FROM = 100
SMOOTHING = 0.9


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
    panels = _panels(read_scalars(scalars_json))
    put(picture_of(draw_panels("plot_curves", panels)), fspath(out_png))
    return fspath(out_png)


def _panels(scalars: RunScalars) -> list[Panel]:
    panels = []
    if scalars.losses:
        lines = _lines(scalars.losses, smoothed=True)
        log_y = spans_decades(lines)
        panels.append(Panel(title="training loss", x_label="iteration", lines=lines, log_y=log_y))
    for name, curve in sorted(scalars.metrics.items()):
        lines = _lines({name: curve}, marked=True)
        panels.append(Panel(title=name, x_label=scalars.metric_unit, lines=lines, named=False))
    if scalars.rates:
        lines = _lines(_without_echo(scalars.rates))
        panels.append(Panel(title="learning rate", x_label="iteration", lines=lines))
    return panels


def _without_echo(rates: dict[str, Curve]) -> dict[str, Curve]:
    """Return the rates, without ``base_lr`` if it equals ``lr``."""
    if "lr" in rates and rates.get("base_lr") == rates["lr"]:
        return {name: curve for name, curve in rates.items() if name != "base_lr"}
    return rates


def _lines(curves: dict[str, Curve], *, smoothed: bool = False, marked: bool = False) -> list[Line]:
    lines = []
    for place, name in enumerate(sorted(curves, key=main_first)):
        curve, (color, style) = curves[name], color_and_style(place)
        smoothing = SMOOTHING if smoothed and len(curve.values) >= SMOOTHED_FROM else 0.0
        lines.append(
            Line(
                name=name, x=curve.steps, y=curve.values, color=color, style=style,
                smoothing=smoothing, marked=marked,
            )
        )  # fmt: skip
    return lines


def main_first(name: str) -> tuple[bool, str]:
    """Return a key that sorts the total loss and the learning rate before the others."""
    return name not in {"loss", "lr"}, name


def spans_decades(lines: list[Line]) -> bool:
    """Return whether losses need a logarithmic axis: they often fall fast at first."""
    values = [value for line in lines for value in line.y if not math.isnan(value)]
    return min(values) > 0 and max(values) / min(values) > 100
