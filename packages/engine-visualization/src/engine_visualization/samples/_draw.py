"""Draw what a sample holds: truth and predictions, on one image or on two."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from engine_visualization.drawing import Canvas
from engine_visualization.samples._context import Context, Source
from engine_visualization.samples._instances import (
    Instances,
    draw_instances,
    match_instances,
    read_instances,
    write_instances,
)
from engine_visualization.samples._labels import write_label
from engine_visualization.samples._maps import draw_maps
from engine_visualization.samples._notices import Notices
from engine_visualization.samples._options import Color, SampleOptions
from engine_visualization.samples._texts import text_size, write_legend, write_texts

if TYPE_CHECKING:
    from engine_structures import BaseDataElement

Fields: TypeAlias = dict[Source, dict[str, Any]]
_LAYERS = ("maps", "instances", "texts", "label")
_GAP = 4  # white pixels between two images


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """The colors of the instances of one field, and how many are hits, misses, false alarms."""

    colors: dict[Source, list[Color]]
    is_hit: dict[Source, list[bool]]
    counts: tuple[int, int, int]


def draw_sample(
    canvas: Canvas,
    sample: "BaseDataElement",
    *,
    draw_gt: bool = True,
    draw_pred: bool = True,
    classes: Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
    options: SampleOptions | None = None,
    scale: int = 1,
    notices: Notices | None = None,
) -> None:
    """Draw the fields of a sample; log those that are not drawn, once per field and reason.

    Args:
        canvas: The canvas with the image of the sample.
        sample: The data sample.
        draw_gt: Whether to draw the ground truth.
        draw_pred: Whether to draw the predictions.
        classes: Names of the classes, by label; by default those of ``meta``.
        meta: The metadata of the dataset: ``classes``, ``palette`` and ``skeleton_links``.
        options: Colors, thresholds and layout.
        scale: The image of the canvas is this many times as large as that of the sample.
        notices: The log, for once per run instead of per call.
    """
    facts = dict(meta or {}) | ({} if classes is None else {"classes": classes})
    notices = Notices() if notices is None else notices
    options = SampleOptions() if options is None else options
    fields = _fields(sample, {"gt": draw_gt, "pred": draw_pred}, notices)
    both = bool(fields["gt"] and fields["pred"])
    context = Context(
        canvas=canvas,
        options=options,
        meta=facts,
        scale=scale,
        notices=notices,
        compares=both and options.color_by == "outcome",
    )
    sides = _Sides(context, fields)
    if both and _is_side_by_side(options, fields):
        _draw_two(context, sides)
    else:
        # A missed truth is drawn last: a false alarm of the same box would cover it.
        sides.draw(("pred", "gt"))
        sides.write_counts()


def _fields(sample: "BaseDataElement", shown: Mapping[Source, bool], notices: Notices) -> Fields:
    """Return the fields that are drawn, by source and by name without the source."""
    fields: Fields = {"gt": {}, "pred": {}}
    for name, value in sample.items():
        source, _, rest = name.partition("_")
        if source not in fields:
            reason = "its name must begin with gt_ or pred_; rename it"
            notices.add(name, value, reason)
        elif shown[source] and value is not None:
            if _drawer(rest, value) is None:
                reason = (
                    "nothing draws this field; use labels, instances or maps of pixels, or "
                    "override add_datasample of Visualizer"
                )
                notices.add(name, value, reason)
            else:
                fields[source][rest] = value
    return fields


class _Sides:
    """Draw the fields of truth and predictions, with the outcomes of both."""

    def __init__(self, context: Context, fields: Fields) -> None:
        self.context = context
        self.fields = fields
        self.instances: dict[Source, dict[str, Instances]] = {
            source: {
                name: _guarded(context, f"{source}_{name}", value, read_instances) or _NOTHING
                for name, value in named.items()
                if _drawer(name, value) == "instances"
            }
            for source, named in fields.items()
        }
        threshold = context.options.score_threshold
        predicted = self.instances["pred"]
        self.instances["pred"] = {name: one.above(threshold) for name, one in predicted.items()}
        self.outcomes = self._outcomes() if context.compares else {}

    def draw(self, sources: Sequence[Source], *, context: Context | None = None) -> None:
        """Draw the maps of sources, then their instances, and all texts above them."""
        context = context or self.context
        for layer, source in product(_LAYERS, sources):
            # The label of a prediction is below that of the truth.
            line = int(source == "pred" and len(sources) > 1 and bool(self.fields["gt"]))
            for name, value in self.fields[source].items():
                if _drawer(name, value) == layer.replace("texts", "instances"):
                    draw = self._drawing(layer, name, source, line)
                    _guarded(context, f"{source}_{name}", value, draw)

    def write_counts(self) -> None:
        """Write the numbers of hits, misses and false alarms."""
        options = self.context.options
        hits, misses, alarms = np.sum(
            [one.counts for one in self.outcomes.values()] or [(0, 0, 0)], axis=0
        ).tolist()
        if self.outcomes:
            entries = [
                (f"{hits} hit", options.hit_color),
                (f"{misses} missed", options.miss_color),
                (f"{alarms} false", options.false_alarm_color),
            ]
            write_legend(self.context.canvas, entries)

    def _drawing(
        self, drawer: str, name: str, source: Source, line: int
    ) -> Callable[[Context, str, Any], Any]:
        def draw(context: Context, field: str, value: Any) -> None:
            if drawer == "maps":
                draw_maps(context, field, value, source)
            elif drawer == "label":
                other = self.fields["gt"].get(name)
                write_label(context, field, value, source, line=line, other=other)
            else:
                self._draw_instances(context, field, name, source, only_texts=drawer == "texts")

        return draw

    def _draw_instances(
        self, context: Context, field: str, name: str, source: Source, *, only_texts: bool
    ) -> None:
        outcome, found = self.outcomes.get(name), self.instances[source][name]
        colors = None if outcome is None else outcome.colors[source]
        # On one image, the text of a hit is that of its prediction.
        is_alone = context is not self.context or outcome is None or source == "pred"
        silent = [] if is_alone or outcome is None else outcome.is_hit["gt"]
        if only_texts:
            write_instances(context, found, source, colors, silent=silent)
        else:
            draw_instances(context, field, found, source, colors)

    def _outcomes(self) -> dict[str, _Outcome]:
        found = {}
        for name, truth in self.instances["gt"].items():
            predicted = self.instances["pred"].get(name)
            if predicted is None or truth.ids is not None or predicted.ids is not None:
                continue
            hits = match_instances(self.context, predicted, truth)
            if hits is not None:
                found[name] = _outcome(self.context.options, hits, truth.count)
        return found


_NOTHING = Instances(count=0, shapes={})


def _outcome(options: SampleOptions, hits: np.ndarray, truths: int) -> _Outcome:
    is_found = np.zeros(truths, dtype=bool)
    is_found[hits[hits >= 0]] = True
    predicted = (hits >= 0).tolist()
    return _Outcome(
        colors={
            "gt": [options.hit_color if one else options.miss_color for one in is_found],
            "pred": [options.hit_color if one else options.false_alarm_color for one in predicted],
        },
        is_hit={"gt": is_found.tolist(), "pred": predicted},
        counts=(sum(predicted), int(truths - is_found.sum()), len(hits) - sum(predicted)),
    )


def _guarded(
    context: Context, field: str, value: Any, act: Callable[[Context, str, Any], Any]
) -> Any:
    """Call a function; log any exception instead of raising it, as drawing must not end a run."""
    try:
        return act(context, field, value)
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        context.notices.add(field, value, reason)
        return None


def _is_side_by_side(options: SampleOptions, fields: Fields) -> bool:
    if options.layout != "auto":
        return options.layout == "side_by_side"
    return all(
        any(_drawer(name, value) == "maps" for name, value in named.items())
        for named in fields.values()
    )


def _draw_two(context: Context, sides: _Sides) -> None:
    """Draw the truth on the left and the predictions on the right, below their titles."""
    canvas, image = context.canvas, context.canvas.get_image()
    pictures = []
    for source in ("gt", "pred"):
        canvas.set_image(image)
        sides.draw((source,), context=replace(context))
        if source == "pred":
            sides.write_counts()
        pictures.append(canvas.get_image())
    height, width = image.shape[:2]
    band = round(1.7 * text_size(canvas))
    joined = np.full((height + band, 2 * width + _GAP, 3), 255, dtype=np.uint8)
    joined[band:, :width], joined[band:, width + _GAP :] = pictures
    canvas.set_image(joined)
    corners = np.array([[3.0, 2.0], [width + _GAP + 3.0, 2.0]])
    write_texts(canvas, ["truth", "prediction"], corners, ["w", "w"])


def _drawer(name: str, value: Any) -> str | None:
    """Return what draws a field: ``"instances"``, ``"label"``, ``"maps"`` or nothing."""
    kind = _structure_of(value)
    if name in ("instances", "track_instances") or kind == "instances":
        return "instances"
    if name in ("label", "labels") or kind == "label":
        return "label"
    is_map = name.endswith(("sem_seg", "heatmap", "heatmaps", "depth", "depth_map"))
    return "maps" if is_map or kind == "maps" else None


def _structure_of(value: Any) -> str | None:
    # engine_structures needs torch. Where it is not loaded, no value is of its types.
    if "engine_structures" not in sys.modules:
        return None
    from engine_structures import InstanceData, LabelData, PixelData

    kinds = {InstanceData: "instances", LabelData: "label", PixelData: "maps"}
    return next((kind for base, kind in kinds.items() if isinstance(value, base)), None)
