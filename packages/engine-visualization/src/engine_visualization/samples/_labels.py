"""Write the labels of classification."""

from typing import Any

import numpy as np

from engine_visualization.samples._arrays import class_name, to_array
from engine_visualization.samples._context import Context, Source
from engine_visualization.samples._notices import NotDrawable
from engine_visualization.samples._options import Color
from engine_visualization.samples._texts import text_size, write_texts


def write_label(
    context: Context, field: str, value: Any, source: Source, *, line: int, other: Any = None
) -> None:
    """Write the class of the image in its upper left corner, with the score of a prediction.

    Args:
        context: The canvas and the settings.
        field: The name of the field.
        value: A `LabelData`, a number, or several for many classes.
        source: The truth or the prediction.
        line: The line of the text, from 0.
        other: The truth of a prediction, which decides its color.
    """
    try:
        labels = read_labels(value)
    except NotDrawable as reason:
        context.notices.add(field, getattr(value, "label", value), str(reason))
        return
    names = [
        class_name(label, context.classes) + score
        for label, score in zip(labels, _scores(value, labels), strict=True)
    ]
    text = f"{source}: {', '.join(names) or '-'}"
    position = np.array([[2.0, 2.0 + line * 1.6 * text_size(context.canvas)]])
    write_texts(context.canvas, [text], position, [_color(context, labels, source, other)])


def read_labels(value: Any) -> list[int]:
    """Return the labels of an image.

    Raises:
        NotDrawable: They are not integers.
    """
    labels = to_array(getattr(value, "label", value))
    if labels.dtype.kind == "f" and not (labels == np.round(labels)).all():
        raise NotDrawable("it must contain integers, the labels; take argmax of the scores")
    found: list[int] = labels.ravel().astype(int).tolist()
    return found


def _scores(value: Any, labels: list[int]) -> list[str]:
    given = getattr(value, "score", getattr(value, "scores", None))
    if given is None:
        return [""] * len(labels)
    try:
        scores = to_array(given).ravel()
    except NotDrawable:
        return [""] * len(labels)
    if len(scores) != len(labels):  # of all classes
        scores = np.array([scores[at] if 0 <= at < len(scores) else np.nan for at in labels])
    return [f" {score:.2f}" for score in scores]


def _color(context: Context, labels: list[int], source: Source, other: Any) -> Color:
    if source == "gt" or other is None or not context.compares:
        return context.color_of(source)
    try:
        is_hit = sorted(read_labels(other)) == sorted(labels)
    except NotDrawable:
        return context.color_of(source)
    return context.options.hit_color if is_hit else context.options.false_alarm_color
