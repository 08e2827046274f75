"""Make figures of one look, as PNG."""

import io
from typing import Any

from engine_visualization._matplotlib import import_matplotlib

COLORS = ("#2457a8", "#d1602c", "#2f8f63", "#8a4fa3", "#b8912b", "#5a6472")
INK, FAINT = "#22272e", "#d9dde3"


def new_figure(purpose: str, width: float, height: float) -> Any:
    """Return a figure; it is drawn without windows, and apart from the figures of the caller.

    Args:
        purpose: The function that draws, for the message if matplotlib is missing.
        width: In inches.
        height: In inches.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    import_matplotlib(purpose)
    # Do not use pyplot: it opens windows, and shares its state with the figures of the caller.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Any) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def style_axes(axes: Any, title: str, x_label: str) -> None:
    """Set title, label, grid and spines of a panel."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(x_label, fontsize=9.5, color=INK)
    axes.tick_params(labelsize=9, colors=INK, length=3)
    axes.grid(axis="y", color=FAINT, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
