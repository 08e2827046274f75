"""Draw the common fields of a data sample: labels, boxes and masks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine_visualization.drawing._canvas import Canvas
from engine_visualization.drawing._values import to_numpy

if TYPE_CHECKING:
    from engine_structures import BaseDataElement

_COLORS = {"gt": "C2", "pred": "C3"}


def draw_sample(
    canvas: Canvas,
    sample: "BaseDataElement",
    *,
    draw_gt: bool = True,
    draw_pred: bool = True,
    classes: Sequence[str] | None = None,
) -> None:
    """Draw labels, boxes and masks of a sample: ground truth in green, predictions in red.

    The fields are ``label`` of ``gt_label`` and ``pred_label``, and ``bboxes``, ``labels``,
    ``scores`` and ``masks`` of ``gt_instances`` and ``pred_instances``. Other fields are ignored.

    Args:
        canvas: The canvas with the image of the sample.
        sample: The data sample.
        draw_gt: Whether to draw the ground truth.
        draw_pred: Whether to draw the predictions.
        classes: Names of the classes, by label.
    """
    for kind, shown in (("gt", draw_gt), ("pred", draw_pred)):
        if not shown:
            continue
        instances = sample.get(f"{kind}_instances")
        if instances is not None:
            _draw_instances(canvas, instances, _COLORS[kind], classes)
        label = sample.get(f"{kind}_label")
        if label is not None:
            _draw_label(canvas, label, kind, classes)


def _draw_instances(
    canvas: Canvas, instances: Any, color: str, classes: Sequence[str] | None
) -> None:
    masks, boxes = instances.get("masks"), instances.get("bboxes")
    # Draw masks first, so that they do not cover boxes and texts.
    if masks is not None and len(masks):
        canvas.draw_binary_masks(masks, colors=color, alphas=0.4)
    if boxes is None or not len(boxes):
        return
    canvas.draw_bboxes(boxes, edge_colors=color)
    labels, scores = instances.get("labels"), instances.get("scores")
    if labels is None:
        return
    texts = [_class_name(label, classes) for label in to_numpy(labels).ravel().tolist()]
    if scores is not None:
        numbers = to_numpy(scores).ravel().tolist()
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, numbers, strict=True)]
    behind = {"facecolor": color, "edgecolor": "none", "alpha": 0.8, "pad": 1}
    canvas.draw_texts(texts, to_numpy(boxes)[:, :2], colors="w", bboxes=behind)


def _draw_label(canvas: Canvas, label: Any, kind: str, classes: Sequence[str] | None) -> None:
    values = to_numpy(label.label if hasattr(label, "label") else label).ravel().tolist()
    text = f"{kind}: " + ", ".join(_class_name(value, classes) for value in values)
    # Two lines in the top left corner, so that ground truth and prediction do not overlap.
    line = 0 if kind == "gt" else 1
    height = canvas.get_image().shape[0]
    behind = {"facecolor": _COLORS[kind], "edgecolor": "none", "alpha": 0.8, "pad": 1}
    size = max(8.0, height / 20)
    position = np.array([2.0, 2.0 + line * (size * 1.4 + 2)])
    canvas.draw_texts(text, position, font_sizes=size, colors="w", bboxes=behind)


def _class_name(label: int, classes: Sequence[str] | None) -> str:
    # A label outside the classes is shown as its number: a drawing must not end a run.
    named = classes is not None and 0 <= label < len(classes)
    return classes[label] if named and classes is not None else str(label)
