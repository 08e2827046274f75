"""What drawing a field needs beside its value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from engine_visualization.drawing import Canvas
from engine_visualization.samples._colors import RGB
from engine_visualization.samples._notices import NotDrawable, Notices
from engine_visualization.samples._options import Color, SampleOptions

Source: TypeAlias = Literal["gt", "pred"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """Hold the canvas and the settings of one sample.

    Attributes:
        canvas: The canvas with the image.
        options: How to draw.
        meta: The metadata of the dataset: ``classes``, ``palette``, ``skeleton_links``.
        scale: The canvas is this many times as large as the image of the sample.
        notices: The log of what is not drawn.
        compares: Whether truth and predictions are both drawn, in the colors of outcomes.
    """

    canvas: Canvas
    options: SampleOptions
    meta: Mapping[str, Any]
    scale: int
    notices: Notices
    compares: bool

    @property
    def classes(self) -> Sequence[str] | None:
        """The names of the classes, by label."""
        classes = self.meta.get("classes")
        # MMSegmentation and others give a list, some a tuple; one string is one class.
        return (classes,) if isinstance(classes, str) else classes

    def color_of(self, source: Source) -> Color:
        """Return the color of the truth or of the predictions."""
        options = self.options
        return options.truth_color if source == "gt" else options.prediction_color


@dataclass(frozen=True, kw_only=True)
class Look:
    """Hold the colors of instances, one each, and the style of their lines."""

    colors: list[Color | RGB]
    line_style: str
    alpha: float

    def of(self, chosen: np.ndarray) -> "Look":
        """Return the look of the chosen instances, ``(N,)`` of booleans."""
        colors = [color for color, is_in in zip(self.colors, chosen, strict=True) if is_in]
        return Look(colors=colors, line_style=self.line_style, alpha=self.alpha)


def check_count(shapes: np.ndarray, dims: int, expected: str) -> np.ndarray:
    """Return the shapes, if their number of dimensions is right.

    Raises:
        NotDrawable: It is not.
    """
    if shapes.ndim != dims:
        raise NotDrawable(f"it must have shape {expected}; reshape it")
    return shapes
