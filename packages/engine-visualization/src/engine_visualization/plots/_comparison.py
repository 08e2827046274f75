"""Plot the curves of one or several runs in one figure."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Literal

from engine_fileio import put
from engine_visualization.plots._curves import SMOOTHED_FROM, SMOOTHING, main_first, spans_decades
from engine_visualization.plots._figure import DPI, color_and_style, picture_of
from engine_visualization.plots._panels import Line, Look, Panel, draw_panels
from engine_visualization.plots._runs import KINDS, Kind, XAxis, read_run
from engine_visualization.plots._selection import Choice, check_x, choose

_logger = logging.getLogger("engine.visualization")
_X_LABELS = {"iter": "iteration", "epoch": "epoch", "time": "training time"}
_UNITS = ((1, "s"), (60, "min"), (3600, "h"))
_TITLES: dict[Kind, str] = {
    "loss": "training loss",
    "rate": "learning rate",
    "throughput": "throughput (iterations per second)",
    "memory": "memory (MB)",
}


def plot_runs(
    runs: Mapping[str, str | PathLike[str]],
    out: str | PathLike[str],
    *,
    keys: Sequence[str] = (),
    x: XAxis = "iter",
    smoothing: float | None = None,
    log_y: bool = False,
    title: str = "",
    size: tuple[float, float] | None = None,
    dpi: float = DPI,
) -> str:
    """Plot the curves of runs: losses, metrics, learning rates, throughput and memory.

    One run has its losses in one panel, and its learning rates in another. Several runs have one
    panel per name. The extra ``plots`` is required. All paths may be on any storage of
    engine-fileio.

    Args:
        runs: The files of `LocalVisBackend`, ``vis_data/scalars.json``, by the names of the runs
            in the legend.
        out: The path of the picture, ending in ``.png`` or ``.svg``.
        keys: The names to plot, or patterns such as ``loss*``; by default all but ``time`` and
            ``data_time``.
        x: The horizontal axis. The time is that of the training, without validations.
        smoothing: The weight of the moving average of all curves, in [0, 1). By default it is 0.9
            for losses of at least 100 points, and 0 for all others.
        log_y: Whether the vertical axes are logarithmic.
        title: The title of the picture.
        size: Width and height in inches. By default they follow from the number of panels.
        dpi: Pixels per inch.

    Returns:
        The path of the picture.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: An argument or a file is malformed, or there is nothing to plot.

    Example:
        >>> plot_runs({}, "curves.gif")
        Traceback (most recent call last):
        ...
        ValueError: out must end in .png or .svg, got curves.gif
    """
    suffix = _suffix(fspath(out))
    if smoothing is not None and not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be at least 0 and less than 1, got {smoothing}")
    if not runs:
        raise ValueError("runs must name at least one run, got none")
    read = {name: read_run(file) for name, file in runs.items()}
    chosen = choose(read, keys)
    check_x(x, chosen, read)
    panels = _panels(chosen, list(read), x, smoothing)
    if log_y:
        panels = _logarithmic(panels)
    legend = {name: color_and_style(i) for i, name in enumerate(read)} if len(read) > 1 else None
    look = Look(title=title, size=size, dpi=dpi, legend=legend)
    put(picture_of(draw_panels("plot_runs", panels, look), suffix), fspath(out))
    return fspath(out)


def _suffix(out: str) -> Literal["png", "svg"]:
    if out.lower().endswith(".png"):
        return "png"
    if out.lower().endswith(".svg"):
        return "svg"
    raise ValueError(f"out must end in .png or .svg, got {out}")


def _panels(
    chosen: Sequence[Choice], runs: Sequence[str], x: XAxis, smoothing: float | None
) -> list[Panel]:
    """Group the series into panels: of one run by kind, of several by name."""
    one_run = len(runs) == 1
    groups: dict[tuple[int, tuple[bool, str], str], list[Choice]] = {}
    training = {name for _, name, series in chosen if series.kind != "metric"}
    for choice in chosen:
        _, name, series = choice
        joined = one_run and series.kind in {"loss", "rate"}
        title = _TITLES.get(series.kind, name) if joined or series.kind == "throughput" else name
        if series.kind == "memory":
            title = f"{name} (MB)"
        if series.kind == "metric" and name in training:
            title = f"{name} (validation)"
        order = KINDS.index(series.kind), main_first("" if joined else name), title
        groups.setdefault(order, []).append(choice)
    unit = _time_unit(chosen) if x == "time" else (1, "")
    panels = []
    for (_, _, title), group in sorted(groups.items(), key=lambda item: item[0]):
        colors = {
            choice[:2]: color_and_style(runs.index(choice[0]) if not one_run else place)
            for place, choice in enumerate(sorted(group, key=lambda item: main_first(item[1])))
        }
        lines = [_line(choice, colors[choice[:2]], x, smoothing, unit[0]) for choice in group]
        named = one_run and group[0][2].kind in {"loss", "rate"}
        x_label = f"{_X_LABELS[x]} ({unit[1]})" if x == "time" else _X_LABELS[x]
        log_y = group[0][2].kind == "loss" and spans_decades(lines)
        panels.append(Panel(title=title, x_label=x_label, lines=lines, named=named, log_y=log_y))
    return panels


def _line(
    choice: Choice, look: tuple[str, str], x: XAxis, smoothing: float | None, seconds: int
) -> Line:
    _, name, series = choice
    if smoothing is None:
        long = series.kind == "loss" and len(series.values) >= SMOOTHED_FROM
        smoothing = SMOOTHING if long else 0.0
    places = [place / seconds for place in series.x[x]] if x == "time" else series.x[x]
    return Line(
        name=name, x=places, y=series.values, color=look[0], style=look[1], smoothing=smoothing,
        marked=series.kind == "metric",
    )  # fmt: skip


def _time_unit(chosen: Sequence[Choice]) -> tuple[int, str]:
    """Return the largest unit of which the runs took at least two, in seconds, and its name."""
    longest = max(series.x["time"][-1] for _, _, series in chosen)
    return next(unit for unit in reversed(_UNITS) if longest >= 2 * unit[0] or unit[0] == 1)


def _logarithmic(panels: Sequence[Panel]) -> list[Panel]:
    """Return the panels with logarithmic axes, where all values are positive."""
    scaled = []
    for panel in panels:
        positive = all(v > 0 for line in panel.lines for v in line.y if not math.isnan(v))
        if not positive:
            _logger.warning("the axis of %s stays linear: it has values <= 0", panel.title)
        scaled.append(replace(panel, log_y=positive))
    return scaled
