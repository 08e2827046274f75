"""Draw on an RGB image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias

import numpy as np

from engine_visualization.drawing._colors import RGBA, ColorSpec, parse_color
from engine_visualization.drawing._featmap import draw_featmap
from engine_visualization.drawing._markers import marker_outline, marker_strokes
from engine_visualization.drawing._masks import paint_mask, to_masks
from engine_visualization.drawing._shapes import Style, paint_box, paint_circle, paint_path
from engine_visualization.drawing._surface import (
    PainterName,
    Surface,
    check_painter,
    find_painter,
)
from engine_visualization.drawing._text import (
    Horizontal,
    TextStyle,
    Vertical,
    default_font_size,
    font_file,
    paint_text,
)
from engine_visualization.drawing._values import (
    Array,
    check_finite,
    check_opacity,
    check_size,
    spread,
    to_image,
    to_numpy,
    to_outline,
    to_rows,
)

Number: TypeAlias = int | float
Colors: TypeAlias = ColorSpec | Sequence[ColorSpec]
_DEFAULT_POINT_SIZE = 36.0


class Canvas:
    """Draw on an image; each method returns the canvas, so calls can be chained.

    Coordinates are ``(x, y)`` in pixels, and the center of pixel ``i`` is at ``i``. Parts outside
    the image are clipped. Each method takes NumPy arrays or tensors, with one or several shapes. A
    list of colors, styles or widths has one value per shape; any other value applies to all.
    Colors are letters such as ``"g"``, CSS names, ``"#rrggbb"``, ``"C0"`` to ``"C9"``, grays
    ``"0"`` to ``"1"``, tuples of integers 0-255 or of floats 0-1, and ``"none"``. Line styles are
    ``"-"``, ``"--"``, ``":"`` and ``"-."``. Widths are in pixels.

    Args:
        image: RGB ``(H, W, 3)`` or gray ``(H, W)``, values 0-255. It is copied.
        antialias: Whether the edges of shapes and letters are smooth. Otherwise a pixel is painted
            if a shape covers half of it. Solid lines of boxes lie on whole pixels in both cases.
        painter: The library that draws: ``"opencv"`` or ``"pillow"``. By default it is OpenCV where
            that is installed. It is loaded by the first image.

    Raises:
        ImportError: ``painter`` is ``"opencv"``, and OpenCV is not installed.
        ValueError: ``painter`` is unknown.

    Attributes:
        width: The width of the image in pixels; 0 without one.
        height: The height of the image in pixels; 0 without one.

    Example:
        >>> import numpy as np
        >>> canvas = Canvas(np.zeros((40, 60, 3), dtype=np.uint8))
        >>> image = canvas.draw_bboxes(np.array([5, 5, 30, 20]), edge_colors="r").get_image()
        >>> image.shape, bool(image.any())
        ((40, 60, 3), True)
    """

    draw_featmap = staticmethod(draw_featmap)

    def __init__(
        self,
        image: np.ndarray | None = None,
        *,
        antialias: bool = True,
        painter: PainterName | None = None,
    ) -> None:
        check_painter(painter)
        self._surface: Surface | None = None
        self._antialias, self._painter = antialias, painter
        self.width, self.height = 0, 0
        if image is not None:
            self.set_image(image)

    def set_image(self, image: np.ndarray) -> None:
        """Set the image to a copy of ``image``: RGB ``(H, W, 3)`` or gray ``(H, W)``, 0-255."""
        self._surface = Surface(
            pixels=np.array(to_image(image), order="C"),
            painter=find_painter(self._painter),
            antialias=self._antialias,
        )
        self.width, self.height = self._surface.size

    def get_image(self) -> np.ndarray:
        """Return a copy of the image with everything drawn so far: RGB ``(H, W, 3)``, uint8.

        Raises:
            RuntimeError: The canvas has no image.
        """
        return self._target().pixels.copy()

    def draw_bboxes(
        self,
        bboxes: Array,
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Number | list[Number] = 2,
        face_colors: Colors = "none",
        alpha: Number = 0.8,
    ) -> Self:
        """Draw boxes ``(4,)`` or ``(N, 4)`` as ``(x1, y1, x2, y2)``.

        Raises:
            ValueError: ``x1 > x2`` or ``y1 > y2`` in a box, or the length of a list is not N.
        """
        rows = to_rows(bboxes, 4, "bboxes")
        if (rows[:, :2] > rows[:, 2:]).any():
            wrong = rows[(rows[:, :2] > rows[:, 2:]).any(axis=1)][0].tolist()
            raise ValueError(
                f"bboxes must be (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2, got {wrong}"
            )
        styles = _styles(len(rows), edge_colors, line_styles, line_widths, face_colors, alpha)
        surface = self._target()
        for box, style in zip(rows.tolist(), styles, strict=True):
            paint_box(surface, box, style)
        return self

    def draw_polygons(
        self,
        polygons: Array | list[Array],
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Number | list[Number] = 2,
        face_colors: Colors = "none",
        alpha: Number = 0.8,
    ) -> Self:
        """Draw a polygon ``(N, 2)`` or ``(2 * N,)``, or a list of such polygons.

        Raises:
            ValueError: A polygon has another shape, or a list another length.
        """
        several = polygons if isinstance(polygons, list) else [polygons]
        outlines = [to_outline(polygon) for polygon in several]
        styles = _styles(len(outlines), edge_colors, line_styles, line_widths, face_colors, alpha)
        return self._paint(outlines, styles, closed=True)

    def draw_circles(
        self,
        center: Array,
        radius: Array,
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Number | list[Number] = 2,
        face_colors: Colors = "none",
        alpha: Number = 0.8,
    ) -> Self:
        """Draw circles around ``center`` ``(2,)`` or ``(N, 2)``, with one ``radius`` each."""
        centers = to_rows(center, 2, "center")
        lengths = check_finite(to_numpy(radius).astype(np.float64).ravel(), "radius")
        sizes = [check_size(length, "radius") for length in lengths.tolist()]
        radii = spread(sizes, len(centers), "radius")
        styles = _styles(len(centers), edge_colors, line_styles, line_widths, face_colors, alpha)
        surface = self._target()
        for place, length, style in zip(centers.tolist(), radii, styles, strict=True):
            paint_circle(surface, place, length, style)
        return self

    def draw_lines(
        self,
        x_datas: Array,
        y_datas: Array,
        colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Number | list[Number] = 2,
    ) -> Self:
        """Draw lines from start to end: ``x_datas`` and ``y_datas`` are ``(2,)`` or ``(N, 2)``."""
        x, y = to_rows(x_datas, 2, "x_datas"), to_rows(y_datas, 2, "y_datas")
        if x.shape != y.shape:
            raise ValueError(
                f"x_datas and y_datas must have the same shape, got {x.shape} and {y.shape}"
            )
        styles = _styles(len(x), colors, line_styles, line_widths, "none", 1.0)
        return self._paint(list(np.stack([x, y], axis=2)), styles, closed=False)

    def draw_points(
        self,
        positions: Array,
        colors: Colors = "g",
        marker: str | None = None,
        sizes: Array | list[Number] | Number | None = None,
    ) -> Self:
        """Draw points at ``positions`` ``(2,)`` or ``(N, 2)``.

        Args:
            positions: The points.
            colors: One color, or a list with one per point.
            marker: One of ``o . s ^ v < > D + x``. By default a filled circle.
            sizes: Area in pixels of the square around the marker. By default 36.
        """
        rows, surface = to_rows(positions, 2, "positions"), self._target()
        areas = _DEFAULT_POINT_SIZE if sizes is None else sizes
        if not isinstance(areas, int | float):
            areas = to_numpy(areas).ravel().tolist()
        for (x, y), color, area in zip(
            rows,
            _colors(colors, len(rows), "colors"),
            spread(areas, len(rows), "sizes"),
            strict=True,
        ):
            radius = check_size(area, "sizes") ** 0.5 / 2
            outline = marker_outline(marker or "o", x, y, radius)
            if outline is not None:
                paint_path(surface, outline, Style(face=color), closed=True)
                continue
            stroke = Style(edge=color, width=max(1.0, radius / 2))
            for line in marker_strokes(marker or "o", x, y, radius):
                paint_path(surface, line, stroke, closed=False)
        return self

    def draw_texts(
        self,
        texts: str | Sequence[str],
        positions: Array,
        font_sizes: Number | list[Number] | None = None,
        colors: Colors = "g",
        vertical_alignments: Vertical | list[Vertical] = "top",
        horizontal_alignments: Horizontal | list[Horizontal] = "left",
        font_families: str | list[str] = "sans-serif",
        bboxes: Mapping[str, Any] | list[Mapping[str, Any]] | None = None,
        font_properties: Any = None,
    ) -> Self:
        """Write texts at ``positions`` ``(2,)`` or ``(N, 2)``.

        Args:
            texts: One text, or one per position.
            positions: The point of each text that the alignments choose, such as its top left.
            font_sizes: Sizes in pixels. By default the size depends on that of the image.
            colors: Colors of the letters.
            vertical_alignments: ``"top"``, ``"center"``, ``"bottom"`` or ``"baseline"``.
            horizontal_alignments: ``"left"``, ``"center"`` or ``"right"``.
            font_families: ``"sans-serif"``, ``"serif"``, ``"monospace"``, … or the file name of a
                font. Without that font, the sans-serif font of Pillow is used.
            bboxes: The box behind a text: ``facecolor``, ``edgecolor``, ``alpha``, ``linewidth``,
                ``pad`` (pixels) and ``boxstyle`` (``"square"`` or ``"round"``).
            font_properties: Fonts in place of ``font_families``, such as one with Chinese letters:
                paths of font files, or `matplotlib.font_manager.FontProperties`.

        Raises:
            FileNotFoundError: A font file does not exist.
            TypeError: A text is not a string, or a value of ``font_properties`` is not a font.
            ValueError: A list has another length, or a value is not one of the choices.
        """
        rows, surface = to_rows(positions, 2, "positions"), self._target()
        count = len(rows)
        words = list(texts) if isinstance(texts, list | tuple) else [texts]
        if not all(isinstance(word, str) for word in words):
            raise TypeError(f"texts must be strings, got {words!r}")
        size = default_font_size(self.width, self.height) if font_sizes is None else font_sizes
        boxes = spread(bboxes, count, "bboxes")
        families = spread(font_families, count, "font_families")
        if font_properties is not None:
            families = [font_file(f) for f in spread(font_properties, count, "font_properties")]
        columns = zip(
            spread(size, count, "font_sizes"),
            _colors(colors, count, "colors"),
            families,
            spread(vertical_alignments, count, "vertical_alignments"),
            spread(horizontal_alignments, count, "horizontal_alignments"),
            strict=True,
        )
        styles = [
            TextStyle(
                size=check_size(size, "font_sizes"),
                color=color,
                family=family,
                vertical=vertical,
                horizontal=across,
            )
            for size, color, family, vertical, across in columns
        ]
        for text, (x, y), style, box in zip(
            spread(words, count, "texts"), rows.tolist(), styles, boxes, strict=True
        ):
            paint_text(surface, text, (x, y), style, box=box)
        return self

    def draw_binary_masks(
        self,
        binary_masks: Array,
        colors: Colors = "g",
        alphas: Number | list[Number] = 0.8,
    ) -> Self:
        """Color the pixels of masks ``(H, W)`` or ``(N, H, W)`` of zeros and ones, or booleans.

        Raises:
            ValueError: The size of the masks is not that of the image, or they have other values.
        """
        surface = self._target()
        masks = to_masks(to_numpy(binary_masks), surface.size)
        tints = _colors(colors, len(masks), "colors")
        opacities = [
            check_opacity(alpha, "alphas") for alpha in spread(alphas, len(masks), "alphas")
        ]
        for mask, tint, alpha in zip(masks, tints, opacities, strict=True):
            if tint is not None:
                paint_mask(surface, mask, tint, alpha)
        return self

    def _target(self) -> Surface:
        if self._surface is None:
            raise RuntimeError("the canvas has no image; call set_image(image) first")
        return self._surface

    def _paint(
        self, outlines: Sequence[np.ndarray], styles: Sequence[Style], *, closed: bool
    ) -> Self:
        surface = self._target()
        for outline, style in zip(outlines, styles, strict=True):
            paint_path(surface, outline, style, closed=closed)
        return self


def _styles(
    count: int, edges: Any, lines: Any, widths: Any, faces: Any, alpha: Number
) -> list[Style]:
    columns = zip(
        _colors(edges, count, "edge_colors"),
        _colors(faces, count, "face_colors"),
        spread(lines, count, "line_styles"),
        spread(widths, count, "line_widths"),
        strict=True,
    )
    opacity = check_opacity(alpha, "alpha")
    return [
        Style(
            edge=edge,
            face=face,
            line=line,
            width=check_size(width, "line_widths"),
            alpha=opacity,
        )
        for edge, face, line, width in columns
    ]


def _colors(value: Any, count: int, name: str) -> list[RGBA | None]:
    # A 2d array has one color per row; a 1d array is one color.
    if isinstance(value, np.ndarray) and value.ndim == 2:
        value = list(value)
    parse: Callable[[ColorSpec], RGBA | None] = parse_color
    return [parse(color) for color in spread(value, count, name)]
