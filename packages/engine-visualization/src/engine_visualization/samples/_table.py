"""The table of what is drawn of instances: a new kind is a file and a row here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine_visualization.samples._boxes import box_anchors, box_matches, draw_boxes, read_boxes
from engine_visualization.samples._context import Context, Look
from engine_visualization.samples._keypoints import (
    draw_keypoints,
    keypoint_anchors,
    no_matches,
    read_keypoints,
)
from engine_visualization.samples._masks import draw_masks, mask_anchors, mask_matches, read_masks


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Define how one field of instances is read, matched and drawn.

    Attributes:
        field: The name of the field.
        read: Returns its shapes as an array, the first dimension of which is that of the instances.
        match: Returns the IoU ``(N, M)`` of two such arrays, or ``None``.
        anchors: Returns the point of the text of each instance, ``(N, 2)``.
        draw: Draws the shapes; a reason that it raises is logged.
    """

    field: str
    read: Callable[[Any, Context], np.ndarray]
    match: Callable[[np.ndarray, np.ndarray], np.ndarray | None]
    anchors: Callable[[np.ndarray], np.ndarray]
    draw: Callable[[Context, np.ndarray, Look], None]


# Drawn in this order: masks do not cover boxes.
KINDS = (
    Kind(field="masks", read=read_masks, match=mask_matches, anchors=mask_anchors, draw=draw_masks),
    Kind(field="bboxes", read=read_boxes, match=box_matches, anchors=box_anchors, draw=draw_boxes),
    Kind(
        field="keypoints",
        read=read_keypoints,
        match=no_matches,
        anchors=keypoint_anchors,
        draw=draw_keypoints,
    ),
)
# Predictions are matched by the first of these that both sides have. Boxes are cheaper than masks.
MATCHED_BY = ("bboxes", "masks")
