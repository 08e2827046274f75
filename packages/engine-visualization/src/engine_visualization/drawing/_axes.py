"""The few methods of matplotlib's axes and figure with which libraries draw on a canvas."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from engine_visualization._matplotlib import import_matplotlib
from engine_visualization.drawing._canvas import Canvas
from engine_visualization.drawing._colors import RGBA, parse_color
from engine_visualization.drawing._pictures import as_picture, pillow, save_png
from engine_visualization.drawing._shapes import Style, paint_path
from engine_visualization.drawing._text import TextStyle, font_file, paint_text

_logger = logging.getLogger("engine.visualization")

DPI = 100.0
"""The pixels per inch: matplotlib's sizes are points, of which an inch has 72."""

_METHODS = ("text", "imshow", "add_collection", "axis")
_NAMES = {
    "fontsize": "size",
    "c": "color",
    "ha": "horizontalalignment",
    "va": "verticalalignment",
    "fontfamily": "family",
    "fontname": "family",
    "font_properties": "fontproperties",
    "font": "fontproperties",
    "fc": "facecolor",
    "ec": "edgecolor",
    "lw": "linewidth",
}
_SIZES = {"xx-small": 5.79, "x-small": 6.94, "small": 8.33, "medium": 10.0, "large": 12.0}
_SIZES |= {"x-large": 14.4, "xx-large": 17.28}


class Axes:
    """Draw on a canvas with methods of `matplotlib.axes.Axes`.

    Sizes and widths are points, as in matplotlib, and coordinates are pixels. Everything is drawn
    at once. An option without effect here is logged once.

    Args:
        canvas: The canvas.

    Example:
        >>> canvas = Canvas(np.zeros((40, 60, 3), dtype=np.uint8))
        >>> Axes(canvas).text(4, 4, "cat", size=9, color="w", va="top")
        >>> bool(canvas.get_image().any())
        True
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas

    def text(self, x: float, y: float, s: str, fontdict: Any = None, **kwargs: Any) -> None:
        """Write a text at a point.

        Args:
            x: The horizontal position.
            y: The vertical position.
            s: The text.
            fontdict: Options, as ``kwargs``.
            **kwargs: ``size``, ``color``, ``bbox``, ``horizontalalignment``, ``verticalalignment``,
                ``family`` and ``fontproperties``, also by matplotlib's short names.
        """
        options = _renamed({**(fontdict or {}), **kwargs})
        properties = options.pop("fontproperties", None)
        family = options.pop("family", "sans-serif")
        vertical = options.pop("verticalalignment", "baseline")
        style = TextStyle(
            size=_pixels(options.pop("size", 10)),
            color=_color(options.pop("color", "k")),
            family=family if properties is None else font_file(properties),
            vertical="center" if vertical == "center_baseline" else vertical,
            horizontal=options.pop("horizontalalignment", "left"),
        )
        box = options.pop("bbox", None)
        _warn_of(options, "text")
        paint_text(self._canvas._target(), s, (float(x), float(y)), style, box=box and _box(box))

    def imshow(self, X: Any, cmap: Any = None, **kwargs: Any) -> None:  # noqa: N803 - as theirs
        """Draw an image ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``.

        Without an image on the canvas, it becomes that.

        Args:
            X: The image: integers from 0 to 255, or floats from 0 to 1.
            cmap: The colors of an image ``(H, W)``, which needs the extra ``plots``.
            **kwargs: ``norm``, ``vmin``, ``vmax``, ``alpha``, ``origin``, ``interpolation`` and
                ``extent`` (left, right, bottom, top), by default the size of the image.
        """
        options = dict(kwargs)
        colors = {name: options.pop(name, None) for name in ("norm", "vmin", "vmax")}
        pixels = _rgba(np.asarray(X), cmap, **colors)
        alpha = options.pop("alpha", None)
        if alpha is not None:
            pixels[..., 3] = np.round(pixels[..., 3] * alpha)
        if options.pop("origin", None) == "lower":
            pixels = pixels[::-1]
        extent = options.pop("extent", None)
        smooth = options.pop("interpolation", None) not in (None, "none", "nearest")
        options.pop("aspect", None)  # the canvas has the aspect of its image
        _warn_of(options, "imshow")
        if self._canvas._surface is None:
            self._canvas.set_image(np.zeros_like(pixels[..., :3]))
        target = self._canvas._target().pixels
        picture, place = as_picture(np.ascontiguousarray(pixels)), (0, 0)
        if extent is not None:
            left, right, bottom, top = (round(float(value)) for value in extent)
            place = (min(left, right), min(bottom, top))
            size = (max(1, abs(right - left)), max(1, abs(top - bottom)))
            if picture.size != size:
                images = pillow("Image").Resampling
                picture = picture.resize(size, images.BILINEAR if smooth else images.NEAREST)
        below = as_picture(target)
        below.paste(picture.convert("RGB"), place, picture.getchannel("A"))
        target[...] = np.asarray(below)

    def add_collection(self, collection: Any, autolim: bool = True) -> None:
        """Draw a collection of matplotlib, such as `PatchCollection` or `LineCollection`.

        Args:
            collection: The collection, with its coordinates in pixels.
            autolim: Unused: the limits are those of the image.
        """
        collection.update_scalarmappable()
        surface, paths = self._canvas._target(), collection.get_paths()
        offsets, scales = np.asarray(collection.get_offsets()), collection.get_transforms()
        look: dict[str, list[Any]] = {
            "edge": [_color(color) for color in collection.get_edgecolor()],
            "face": [_color(color) for color in collection.get_facecolor()],
            "width": [float(width) * DPI / 72 for width in collection.get_linewidth()],
            "line": [_line(style) for style in collection.get_linestyle()],
        }
        for index in range(max(len(paths), len(offsets)) if paths else 0):
            chosen = {name: each[index % len(each)] for name, each in look.items() if each}
            path = paths[index % len(paths)]
            if len(scales):  # the markers of `scatter`, in points
                path = path.transformed(_affine(scales[index % len(scales)]))
            for outline in path.to_polygons(closed_only=False):
                points = outline + (offsets[index % len(offsets)] if len(offsets) else 0)
                closed = chosen.get("face") is not None or bool((points[0] == points[-1]).all())
                paint_path(surface, points, Style(**chosen), closed=closed)

    def axis(self, *args: Any, **kwargs: Any) -> tuple[float, float, float, float]:
        """Return the limits of the image: left, right, bottom and top.

        The canvas has no axes to show or hide. Other limits are not possible, and are logged.
        """
        if (args and not isinstance(args[0], str | bool | None)) or kwargs:
            _log_once(f"ax_save.axis{args or kwargs} has no effect: the limits are the image's")
        width, height = self._canvas._target().size
        return -0.5, width - 0.5, height - 0.5, -0.5

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"ax_save has {', '.join(_METHODS)} of matplotlib's axes, and not {name!r}; draw with "
            "the draw_… methods of the visualizer"
        )


class Figure:
    """The size and the pixels of a canvas, by methods of a figure of matplotlib and its canvas.

    Args:
        canvas: The canvas.

    Example:
        >>> figure = Figure(Canvas(np.zeros((50, 200, 3), dtype=np.uint8)))
        >>> figure.get_size_inches().tolist()
        [2.0, 0.5]
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self.dpi = DPI

    @property
    def canvas(self) -> "Figure":
        """The object with the pixels: this one."""
        return self

    def get_dpi(self) -> float:
        """Return the pixels per inch."""
        return self.dpi

    def get_size_inches(self) -> np.ndarray:
        """Return width and height in inches."""
        return np.array(self._canvas._target().size) / self.dpi

    def set_size_inches(self, w: Any, h: float | None = None) -> None:
        """Resize the image of the canvas.

        Args:
            w: The width in inches, or width and height.
            h: The height in inches.
        """
        inches = np.asarray(w if h is None else (w, h), dtype=float)
        # Callers add a hundredth of an inch or a pixel against rounding, as figures need it.
        width, height = (max(1, int(value)) for value in np.floor(inches * self.dpi))
        size = (width, height)
        target = self._canvas._target()
        if all(0 <= new - old <= 1 for new, old in zip(size, target.size, strict=True)):
            return
        self._canvas.set_image(np.array(as_picture(target.pixels).resize(size)))

    def print_to_buffer(self) -> tuple[bytes, tuple[int, int]]:
        """Return the pixels as RGBA bytes, and width and height."""
        target = self._canvas._target()
        return as_picture(target.pixels).convert("RGBA").tobytes(), target.size

    def savefig(self, fname: str, **kwargs: Any) -> None:
        """Write the image to a PNG file, pixel by pixel; ``kwargs`` are unused."""
        save_png(self._canvas.get_image(), fname)


def _renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their long names; those with ``None`` are left out."""
    return {_NAMES.get(key, key): value for key, value in options.items() if value is not None}


def _pixels(size: Any) -> float:
    """Return a size of matplotlib, points or a name such as ``"large"``, in pixels."""
    points = _SIZES.get(size) if isinstance(size, str) else float(size)
    if points is None:
        raise ValueError(f"size must be points or one of {', '.join(_SIZES)}, got {size!r}")
    return points * DPI / 72


def _color(color: Any) -> RGBA | None:
    """Return a color of matplotlib, whose numbers are from 0 to 1 whatever their type."""
    return parse_color(color if isinstance(color, str) else np.asarray(color, dtype=float))


def _box(box: Mapping[str, Any]) -> dict[str, Any]:
    """Return the box of a text as drawing takes it."""
    given = _renamed(box)
    style = str(given.get("boxstyle", "square"))
    known: dict[str, Any] = {"boxstyle": "round" if style.startswith("round") else "square"}
    known["pad"] = float(given.get("pad", 4)) * DPI / 72
    known["linewidth"] = float(given.get("linewidth", 1)) * DPI / 72
    known["alpha"] = float(given.get("alpha", 1))
    for name, default in (("facecolor", "C0"), ("edgecolor", "k")):
        color = given.get(name, default)
        known[name] = color if isinstance(color, str) else np.asarray(color, dtype=float)
    names = (*known, "boxstyle")
    _warn_of({key: value for key, value in given.items() if key not in names}, "text of a bbox")
    return known


def _rgba(pixels: np.ndarray, cmap: Any, **colors: Any) -> np.ndarray:
    """Return an image as RGBA ``(H, W, 4)``, uint8."""
    if pixels.ndim == 2:
        import_matplotlib("ax_save.imshow of one channel")
        from matplotlib.cm import ScalarMappable

        mappable = ScalarMappable(norm=colors["norm"], cmap=cmap)
        mappable.set_clim(colors["vmin"], colors["vmax"])
        mappable.set_array(pixels)
        mappable.autoscale_None()
        return np.array(mappable.to_rgba(pixels, bytes=True))
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"X must have shape (H, W), (H, W, 3) or (H, W, 4), got {pixels.shape}")
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.round(np.clip(pixels, 0, 1) * 255)
    opaque = np.full((*pixels.shape[:2], 1), 255)
    return np.concatenate([pixels, opaque], axis=2)[..., :4].clip(0, 255).astype(np.uint8)


def _line(style: tuple[float, Sequence[float] | None]) -> str:
    """Return the name of a line style, which a collection has as dashes and gaps."""
    dashes = style[1]
    if not dashes:
        return "-"
    if len(dashes) == 4:
        return "-."
    return ":" if dashes[0] < dashes[1] else "--"


def _affine(matrix: np.ndarray) -> Any:
    """Return the transformation of a marker in points to pixels."""
    from matplotlib.transforms import Affine2D

    return Affine2D(matrix).scale(DPI / 72)


def _warn_of(options: Mapping[str, Any], method: str) -> None:
    unused = sorted(set(options) - {"zorder", "clip_on"})  # shapes lie in the order of the calls
    if unused:
        _log_once(f"options of ax_save.{method} without effect here: {', '.join(unused)}")


@cache
def _log_once(message: str) -> None:
    _logger.warning(message)
