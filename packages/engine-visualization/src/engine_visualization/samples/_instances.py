"""Read the instances of a sample, and draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine_visualization.samples._arrays import class_name, one_per_instance
from engine_visualization.samples._colors import RGB, color_of, colors_of_labels
from engine_visualization.samples._context import Context, Look, Source
from engine_visualization.samples._keypoints import with_scores
from engine_visualization.samples._matching import match
from engine_visualization.samples._notices import NotDrawable
from engine_visualization.samples._options import Color
from engine_visualization.samples._table import KINDS, MATCHED_BY
from engine_visualization.samples._texts import text_size, write_texts

_IDS = ("instances_id", "instances_ids", "track_ids")
_VISIBLE = ("keypoint_scores", "keypoints_visible")
_OTHERS = ("labels", "scores", *_IDS, *_VISIBLE)


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Hold the instances of one side, each field with one entry per instance.

    Attributes:
        count: The number of instances.
        shapes: The arrays of the kinds, by field.
        labels: Labels ``(N,)``, or ``None``.
        scores: Scores ``(N,)``, or ``None``.
        ids: Ids of tracks ``(N,)``, or ``None``.
    """

    count: int
    shapes: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None
    scores: np.ndarray | None = None
    ids: np.ndarray | None = None

    def above(self, threshold: float) -> "Instances":
        """Return the instances whose score is at least the threshold."""
        if self.scores is None or not threshold:
            return self
        kept = self.scores >= threshold
        return Instances(
            count=int(kept.sum()),
            shapes={field: shapes[kept] for field, shapes in self.shapes.items()},
            labels=None if self.labels is None else self.labels[kept],
            scores=self.scores[kept],
            ids=None if self.ids is None else self.ids[kept],
        )


def read_instances(context: Context, name: str, value: Any) -> Instances:
    """Return the instances of a field, without what cannot be drawn, which is logged."""
    fields = dict(value.items()) if hasattr(value, "items") else {}
    if not hasattr(value, "items"):
        context.notices.add(name, value, "it must be InstanceData; set bboxes, masks … in one")
    shapes: dict[str, np.ndarray] = {}
    for kind in KINDS:
        if fields.get(kind.field) is not None:
            found = _read(context, f"{name}.{kind.field}", kind.read, fields[kind.field])
            if found is not None:
                shapes[kind.field] = found
    shapes = _of_one_count(context, name, fields, shapes)
    count = len(next(iter(shapes.values()))) if shapes else 0
    instances = Instances(count=count, shapes=shapes)
    instances = _with_facts(context, name, fields, instances) if shapes else instances
    for field, given in fields.items():
        if field not in _OTHERS and all(field != kind.field for kind in KINDS):
            reason = "nothing draws this field; override add_datasample of Visualizer"
            context.notices.add(f"{name}.{field}", given, reason)
    return instances


def _read(context: Context, field: str, read: Any, value: Any) -> np.ndarray | None:
    try:
        found: np.ndarray = read(value, context)
    except NotDrawable as reason:
        context.notices.add(field, value, str(reason))
        return None
    return found


def _of_one_count(
    context: Context, name: str, fields: Mapping[str, Any], shapes: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the shapes whose number is that of the boxes, or of the first field."""
    if not shapes:
        return shapes
    first = "bboxes" if "bboxes" in shapes else next(iter(shapes))
    count = len(shapes[first])
    for field in [field for field, found in shapes.items() if len(found) != count]:
        reason = f"it must have {count} entries, as {first} has; pass as many"
        context.notices.add(f"{name}.{field}", fields[field], reason)
        del shapes[field]
    return shapes


def _with_facts(
    context: Context, name: str, fields: Mapping[str, Any], instances: Instances
) -> Instances:
    """Return the instances with labels, scores and ids, and the scores of their keypoints."""

    def column(names: Sequence[str]) -> np.ndarray | None:
        for field in names:
            if fields.get(field) is not None:
                return _read(
                    context,
                    f"{name}.{field}",
                    lambda value, _: one_per_instance(value, instances.count),
                    fields[field],
                )
        return None

    labels, ids, shapes = column(["labels"]), column(_IDS), dict(instances.shapes)
    for field in _VISIBLE:
        if fields.get(field) is not None and "keypoints" in shapes:
            points = shapes["keypoints"]
            found = _read(
                context,
                f"{name}.{field}",
                lambda value, _, points=points: with_scores(points, value),
                fields[field],
            )
            shapes["keypoints"] = points if found is None else found
            break
    return replace(
        instances,
        shapes=shapes,
        labels=_integers(labels),
        scores=column(["scores"]),
        ids=_integers(ids),
    )


def _integers(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else np.nan_to_num(values, nan=-1).astype(np.int64)


def match_instances(context: Context, predicted: Instances, truth: Instances) -> np.ndarray | None:
    """Return the truth that each prediction hits, -1 for none; ``None`` where no shape compares."""
    if not predicted.count or not truth.count:
        return np.full(predicted.count, -1)
    for kind in sorted(KINDS, key=lambda kind: kind.field != MATCHED_BY[0]):
        if kind.field in predicted.shapes and kind.field in truth.shapes:
            shapes = predicted.shapes[kind.field], truth.shapes[kind.field]
            overlaps = kind.match(*shapes)
            if overlaps is not None:
                threshold = context.options.iou_threshold
                labels = predicted.labels, truth.labels
                return match(overlaps, *labels, predicted.scores, threshold)
    return None


def draw_instances(
    context: Context,
    name: str,
    instances: Instances,
    source: Source,
    outcomes: Sequence[Color] | None,
) -> None:
    """Draw the shapes of instances.

    Args:
        context: The canvas and the settings.
        name: The name of the field.
        instances: The instances.
        source: The truth is dashed where it is compared with predictions.
        outcomes: The color of each instance; ``None`` to choose by id, class or source.
    """
    if not instances.count:
        return
    is_dashed = source == "gt" and outcomes is not None
    look = Look(
        colors=_colors(context, instances, source, outcomes),
        line_style="--" if is_dashed else "-",
        alpha=context.options.alpha,
    )
    for kind in KINDS:
        if kind.field in instances.shapes:
            try:
                kind.draw(context, instances.shapes[kind.field], look)
            except NotDrawable as reason:
                field = f"{name}.{kind.field}"
                context.notices.add(field, instances.shapes[kind.field], str(reason))


def write_instances(
    context: Context,
    instances: Instances,
    source: Source,
    outcomes: Sequence[Color] | None,
    *,
    silent: Sequence[bool] = (),
) -> None:
    """Write the id, class and score of each instance that is drawn, but of those in ``silent``."""
    if not instances.count:
        return
    colors = _colors(context, instances, source, outcomes)
    texts = _texts(context, instances)
    anchors = _anchors(instances)
    is_drawn = np.isfinite(anchors).all(axis=1)
    kept = [
        at for at, text in enumerate(texts) if text and is_drawn[at] and not (silent and silent[at])
    ]
    anchors = anchors[kept]
    if source == "gt" and outcomes is not None:  # below the text of a prediction of the same box
        anchors = anchors + np.array([0.0, 1.5 * text_size(context.canvas)])
    write_texts(context.canvas, [texts[at] for at in kept], anchors, [colors[at] for at in kept])


def _anchors(instances: Instances) -> np.ndarray:
    order = ("bboxes", "masks", "keypoints")
    first = next(field for field in order if field in instances.shapes)
    anchors = {kind.field: kind.anchors for kind in KINDS}[first]
    return anchors(instances.shapes[first])


def _colors(
    context: Context, instances: Instances, source: Source, outcomes: Sequence[Color] | None
) -> list[Color | RGB]:
    if outcomes is not None:
        return list(outcomes)
    if instances.ids is not None:
        return [color_of(track) for track in instances.ids.tolist()]
    palette = context.meta.get("palette")
    by_class = context.options.color_by == "class"
    if instances.labels is not None and by_class:
        return list(colors_of_labels(instances.labels.tolist(), palette))
    return [context.color_of(source)] * instances.count


def _texts(context: Context, instances: Instances) -> list[str]:
    columns: list[list[str]] = []
    if instances.ids is not None:
        columns.append([f"#{track}" for track in instances.ids.tolist()])
    if instances.labels is not None:
        names = {label: class_name(label, context.classes) for label in set(instances.labels)}
        columns.append([names[label] for label in instances.labels])
    if instances.scores is not None:
        columns.append([f"{score:.2f}" for score in instances.scores.tolist()])
    return [" ".join(parts) for parts in zip(*columns, strict=True)] or [""] * instances.count
