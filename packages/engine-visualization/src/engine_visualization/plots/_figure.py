"""Make figures of one look, as PNG or SVG."""

import io
import warnings
from typing import Any, Literal

from engine_visualization._matplotlib import import_matplotlib

COLORS = ("#2457a8", "#d1602c", "#2f8f63", "#8a4fa3", "#b8912b", "#5a6472")
STYLES = ("-", "--", ":", "-.")
INK, FAINT = "#22272e", "#d9dde3"
DPI = 150


def new_figure(purpose: str, width: float, height: float, dpi: float = DPI) -> Any:
    """Return a figure; it is drawn without windows, and apart from the figures of the caller.

    Args:
        purpose: The function that draws, for the message if matplotlib is missing.
        width: In inches.
        height: In inches.
        dpi: Pixels per inch.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    import_matplotlib(purpose)
    # Do not use pyplot: it opens windows, and shares its state with the figures of the caller.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    FigureCanvasAgg(figure)
    return figure


def lay_out(figure: Any) -> None:
    """Compute the places of the panels, and keep them.

    Raises:
        ValueError: The figure is too small for its texts.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    for warning in caught:
        if "constrained_layout" in str(warning.message):
            width, height = figure.get_size_inches()
            raise ValueError(
                f"size must leave room for {len(figure.axes)} panels and their texts, got "
                f"{width:g} x {height:g} inches; enlarge it, or select fewer keys"
            )
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    figure.set_layout_engine("none")


def picture_of(figure: Any, suffix: Literal["png", "svg"] = "png") -> bytes:
    """Return a figure as the bytes of a file.

    The same figure gives the same bytes: an SVG has no date, and its identifiers are not random.
    """
    import matplotlib as mpl

    stream = io.BytesIO()
    metadata = {"Date": None} if suffix == "svg" else {}
    with mpl.rc_context({"svg.hashsalt": "engine"}):
        figure.savefig(stream, format=suffix, metadata=metadata)
    return stream.getvalue()


def color_and_style(place: int) -> tuple[str, str]:
    """Return the color and the line style of the curve at a place; the first 24 differ."""
    return COLORS[place % len(COLORS)], STYLES[place // len(COLORS) % len(STYLES)]


def style_axes(axes: Any, title: str, x_label: str) -> None:
    """Set title, label, grid and spines of a panel."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    axes.set_xlabel(x_label, fontsize=9.5, color=INK)
    axes.tick_params(labelsize=9, colors=INK, length=3)
    axes.grid(axis="y", color=FAINT, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
