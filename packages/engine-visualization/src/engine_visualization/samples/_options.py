"""How samples are drawn."""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

Color: TypeAlias = str | tuple[int, int, int]
ColorBy: TypeAlias = Literal["outcome", "class", "source"]
Layout: TypeAlias = Literal["auto", "overlaid", "side_by_side"]


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Set how `Visualizer.add_datasample` draws samples.

    Args:
        score_threshold: Predicted instances with a smaller score are left out.
        iou_threshold: A prediction is a hit if its IoU with a truth of its class is at least this.
        keypoint_threshold: Keypoints with a smaller score are left out.
        color_by: ``"outcome"`` shows hits, misses and false alarms where truth and predictions
            are drawn. ``"class"`` uses the palette, ``"source"`` a color each for truth and
            predictions. Tracks always have a color per id.
        layout: ``"overlaid"`` draws on one image, ``"side_by_side"`` on two, the truth on the left.
            ``"auto"`` is side by side for two maps of pixels, which would cover each other.
        enlarge_to: An image with a longer side below half of this many pixels is enlarged by the
            largest integer factor that keeps to it. ``None`` keeps its size.
        alpha: Opacity of masks and maps, 0-1.
        truth_color: The truth, with ``color_by="source"`` or without predictions.
        prediction_color: The predictions, with ``color_by="source"`` or without truth.
        hit_color: Predictions that match a truth, and these truths.
        miss_color: Truths without a prediction.
        false_alarm_color: Predictions without a truth.

    Raises:
        ValueError: A threshold or ``alpha`` is not from 0 to 1, ``enlarge_to`` is not an integer
            >= 1, or a choice is unknown.

    Example:
        >>> SampleOptions(score_threshold=0.3).iou_threshold
        0.5
    """

    score_threshold: float = 0.0
    iou_threshold: float = 0.5
    keypoint_threshold: float = 0.3
    color_by: ColorBy = "outcome"
    layout: Layout = "auto"
    enlarge_to: int | None = 256
    alpha: float = 0.5
    truth_color: Color = "C2"
    prediction_color: Color = "C3"
    hit_color: Color = "C2"
    miss_color: Color = "C1"
    false_alarm_color: Color = "C3"

    def __post_init__(self) -> None:
        for name in ("score_threshold", "iou_threshold", "keypoint_threshold", "alpha"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)!r}")
        for name, choices in (("color_by", get_args(ColorBy)), ("layout", get_args(Layout))):
            if getattr(self, name) not in choices:
                allowed = ", ".join(map(repr, choices))
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        size = self.enlarge_to
        if size is not None and (type(size) is not int or size < 1):
            raise ValueError(f"enlarge_to must be None or an integer >= 1, got {size!r}")

    def scale_for(self, height: int, width: int) -> int:
        """Return the integer factor by which an image is enlarged."""
        return 1 if self.enlarge_to is None else max(1, self.enlarge_to // max(height, width, 1))


def options_from(given: Any) -> SampleOptions:
    """Return options from options, a mapping of them, or ``None``.

    Raises:
        TypeError: A name is not an option; the message lists the options.
    """
    if isinstance(given, SampleOptions):
        return given
    settings = dict(given or {})
    names = [field.name for field in fields(SampleOptions)]
    unknown = sorted(set(settings) - set(names))
    if unknown:
        raise TypeError(f"sample_options must be among {', '.join(names)}, got {unknown[0]!r}")
    return SampleOptions(**settings)
