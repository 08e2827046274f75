"""Plot the losses at rising learning rates."""

import math
from collections.abc import Sequence
from os import PathLike, fspath

from engine_fileio import put
from engine_visualization.plots._figure import COLORS, INK, new_figure, picture_of, style_axes

_INCHES = (7.6, 4.0)
_ROOM = 0.4  # above and below the losses up to the least one, as a share of their range


def plot_learning_rates(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float | None,
    out_png: str | PathLike[str],
) -> str:
    """Plot the losses of a search for a learning rate, over rates on a logarithmic axis.

    The extra ``plots`` is required. The path may be on any storage of engine-fileio.

    Args:
        rates: The learning rates, in rising order.
        losses: The loss at each rate.
        smoothed: The smoothed loss at each rate.
        suggestion: The rate to mark, or ``None``.
        out_png: The path of the image.

    Returns:
        The path of the image.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: There are no rates, or the numbers of rates and losses differ.

    Example:
        >>> plot_learning_rates([0.1], [1.0, 2.0], [1.0], None, "lr.png")
        Traceback (most recent call last):
        ...
        ValueError: rates, losses and smoothed must have one value per rate, got 1, 2 and 1
    """
    sizes = (len(rates), len(losses), len(smoothed))
    if not rates or len(set(sizes)) > 1:
        raise ValueError(
            "rates, losses and smoothed must have one value per rate, got {} and {}".format(
                ", ".join(map(str, sizes[:2])), sizes[2]
            )
        )
    figure = new_figure("plot_learning_rates", *_INCHES)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color=COLORS[0], lw=0.8, alpha=0.3, label="loss")
    axes.plot(rates, smoothed, color=COLORS[0], lw=1.8, label="smoothed loss")
    axes.set_xscale("log")
    style_axes(axes, "loss at rising learning rates", "learning rate")
    axes.set_ylim(*_limits(smoothed))
    if suggestion is not None:
        axes.axvline(
            suggestion, color=COLORS[1], lw=1.4, ls="--", label=f"suggestion {suggestion:.2g}"
        )
    # Beside the panel, where it covers no line.
    axes.legend(
        frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )
    put(picture_of(figure), fspath(out_png))
    return fspath(out_png)


def _limits(smoothed: Sequence[float]) -> tuple[float, float]:
    """Return limits that show how the loss falls; where it diverges it is cut off."""
    values = [value if math.isfinite(value) else math.inf for value in smoothed]
    least = values.index(min(values))
    falling = [value for value in values[: least + 1] if math.isfinite(value)] or [0.0]
    low, high = min(falling), max(falling)
    room = _ROOM * ((high - low) or abs(high) or 1.0)
    return low - room, high + room
