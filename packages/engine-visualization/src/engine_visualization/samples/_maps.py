"""Draw maps over the pixels of an image: classes, depths and heat."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine_visualization.samples._arrays import class_name, to_array
from engine_visualization.samples._colors import class_colors
from engine_visualization.samples._context import Context, Source
from engine_visualization.samples._notices import NotDrawable
from engine_visualization.samples._texts import write_legend

_HEAT = re.compile("heat|depth|disparity|attention|probab|score|uncertain")
_LARGEST_CLASS = 65535


def draw_maps(context: Context, field: str, value: Any, source: Source) -> None:
    """Draw each map of a `PixelData`, or a map alone.

    Integers are classes, with a legend of those in the image. Floats, and maps whose names contain
    ``heat``, ``depth`` and such, are drawn as heat.
    """
    for name, given in _maps_of(field, value):
        try:
            found = to_array(given)
            is_heat = found.dtype.kind == "f" or _HEAT.search(name) is not None
            draw = _draw_heat if is_heat else _draw_classes
            draw(context, _one_channel(found, name))
        except NotDrawable as reason:
            context.notices.add(name, given, str(reason))


def _maps_of(field: str, value: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "items"):
        yield from ((f"{field}.{name}", given) for name, given in value.items())
    else:
        yield field, value


def _one_channel(values: np.ndarray, name: str) -> np.ndarray:
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or 0 in values.shape:
        raise NotDrawable("it must have shape (1, H, W) or (H, W); reshape it")
    if len(values) > 1 and "heat" in name:
        return np.asarray(values.max(axis=0))  # such as one heat map per keypoint
    if len(values) > 1:
        raise NotDrawable("it must have one channel; take argmax(0), or choose a channel")
    return np.asarray(values[0])


def _draw_classes(context: Context, labels: np.ndarray) -> None:
    height, width = context.canvas.height, context.canvas.width
    labels = labels.repeat(context.scale, axis=0).repeat(context.scale, axis=1)
    if labels.shape != (height, width):
        size = (height // context.scale, width // context.scale)
        raise NotDrawable(f"it must have the size of the image, {size}; resize it")
    classes, labels = context.classes, labels.astype(np.int64)
    # Labels outside the classes, such as 255, are pixels to ignore.
    last = 254 if classes is None else len(classes) - 1
    counts = np.bincount(labels[(labels >= 0) & (labels <= min(last, _LARGEST_CLASS))])
    present = np.nonzero(counts)[0]
    if not len(present):
        return
    table = class_colors(int(present[-1]) + 1, context.meta.get("palette"))
    is_class = (labels >= 0) & (labels < len(table))
    image, alpha = context.canvas.get_image(), context.options.alpha
    tint = table[labels[is_class]]
    image[is_class] = np.round(alpha * tint + (1 - alpha) * image[is_class]).astype(np.uint8)
    context.canvas.set_image(image)
    largest = sorted(present.tolist(), key=lambda label: -int(counts[label]))
    names = [(class_name(label, classes), tuple(table[label].tolist())) for label in largest]
    write_legend(context.canvas, names)


def _draw_heat(context: Context, values: np.ndarray) -> None:
    values = values.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        raise NotDrawable("it has no finite value; check what computes it")
    # Pixels without a depth are the lowest level.
    values = np.where(finite, values, values[finite].min())
    canvas = context.canvas
    drawn = canvas.draw_featmap(values[None], canvas.get_image(), alpha=context.options.alpha)
    canvas.set_image(drawn)
