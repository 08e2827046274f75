"""Label curves at the right of their panel, where a label covers neither a line nor a label."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_FONT_SIZE = 8.5
_LINE_POINTS = 11.0  # the height of a line of text, with the space below it
_LEADER = (3.0, 10.0, 22.0)  # points right of the panel: begin, level with the label, end
_TEXT_AT = 26.0
_WRAP = 26


@dataclass(frozen=True, kw_only=True)
class EndLabel:
    """A label, and the value beside which it belongs.

    Example:
        >>> EndLabel(text="loss  0.25", value=0.25, color="k", style="-").text
        'loss  0.25'
    """

    text: str
    value: float
    color: str
    style: str


def wrap(name: str, width: int = _WRAP) -> str:
    """Break a long name into lines, after ``/``, ``.``, ``_``, ``-`` or a space where possible.

    Example:
        >>> print(wrap("decode_head.loss_segmentation", width=12))
        decode_head.
        loss_
        segmentation
    """
    lines = [""]
    for part in re.findall(rf"[^/._\\ -]{{0,{width - 1}}}[/._\\ -]|[^/._\\ -]{{1,{width}}}", name):
        if len(lines[-1]) + len(part) > width and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def height_of(labels: Sequence[EndLabel]) -> float:
    """Return the height in inches that the labels need below each other."""
    return sum(label.text.count("\n") + 1 for label in labels) * _LINE_POINTS / 72


class EndLabels:
    """The labels of one panel. They take part in the layout, and find their heights after it.

    Args:
        axes: The panel, with its lines drawn.
        labels: The labels.

    Example:
        >>> from engine_visualization.plots._figure import lay_out, new_figure
        >>> figure = new_figure("EndLabels", 4, 3)
        >>> axes = figure.add_subplot()
        >>> _ = axes.plot([1, 2], [3, 4])
        >>> placed = EndLabels(axes, [EndLabel(text="loss", value=4, color="k", style="-")])
        >>> lay_out(figure)
        >>> placed.spread()
    """

    def __init__(self, axes: Any, labels: Sequence[EndLabel]) -> None:
        from matplotlib.transforms import Affine2D, ScaledTranslation, blended_transform_factory

        self.axes = axes
        self.labels = sorted(labels, key=lambda label: label.value)
        # x in points right of the panel, y as a share of its height.
        right_edge = ScaledTranslation(1, 0, axes.transAxes)
        x = Affine2D().scale(1 / 72) + axes.figure.dpi_scale_trans + right_edge
        transform = blended_transform_factory(x, axes.transAxes)
        self.texts = [
            axes.text(
                _TEXT_AT, 0.5, label.text, transform=transform, color=label.color,
                fontsize=_FONT_SIZE, va="center", ha="left", linespacing=1.0, gid="end-label",
                parse_math=False,
            )
            for label in self.labels
        ]  # fmt: skip
        self._leaders = [
            axes.add_line(_leader(label, transform=transform)) for label in self.labels
        ]

    def spread(self) -> None:
        """Move each label as close to the height of its value as the others leave room."""
        box = self.axes.get_window_extent()
        line = _LINE_POINTS / 72 * self.axes.figure.dpi / box.height
        heights = [(label.text.count("\n") + 1) * line for label in self.labels]
        to_share = self.axes.transData + self.axes.transAxes.inverted()
        begin = self.axes.get_xlim()[0]
        wished = [float(to_share.transform((begin, label.value))[1]) for label in self.labels]
        centers = spread(wished, heights)
        for text, leader, wish, center in zip(
            self.texts, self._leaders, wished, centers, strict=True
        ):
            text.set_y(center)
            leader.set_ydata([wish, center, center])


def _leader(label: EndLabel, transform: Any) -> Any:
    """Return the short line between a panel and a label; it repeats the style of the curve."""
    from matplotlib.lines import Line2D

    return Line2D(
        _LEADER, [0.5] * 3, transform=transform, color=label.color, ls=label.style, lw=1.2,
        clip_on=False,
    )  # fmt: skip


def spread(wished: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Return centers of intervals that do not overlap, each near the one that is wished.

    The intervals stay between 0 and 1 if they fit there; otherwise they grow over both ends.

    Args:
        wished: The centers, in rising order.
        heights: The heights of the intervals.

    Example:
        >>> spread([0.5, 0.5], [0.2, 0.2])
        [0.4, 0.6]
    """
    # Intervals that would overlap join a block, which is centered on the mean of their wishes.
    blocks: list[list[int]] = []
    for place in range(len(wished)):
        blocks.append([place])
        while len(blocks) > 1:
            lower, upper = (_bottom(block, wished, heights) for block in blocks[-2:])
            if lower + sum(heights[i] for i in blocks[-2]) <= upper:
                break
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    centers: list[float] = []
    for block in blocks:
        bottom = _bottom(block, wished, heights)
        for place in block:
            centers.append(bottom + heights[place] / 2)
            bottom += heights[place]
    return centers


def _bottom(block: Sequence[int], wished: Sequence[float], heights: Sequence[float]) -> float:
    """Return where a block of intervals begins."""
    total, below, offset = sum(heights[i] for i in block), 0.0, 0.0
    for place in block:
        offset += wished[place] - (below + heights[place] / 2)
        below += heights[place]
    bottom = offset / len(block)
    return min(max(bottom, 0.0), 1 - total) if total <= 1 else (1 - total) / 2
