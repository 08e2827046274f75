"""Infer from the name of a metric whether a greater or a lesser value is better."""

from collections.abc import Sequence
from typing import Literal

Rule = Literal["greater", "less"]

GREATER_KEYS = (
    "acc", "top", "ar@", "auc", "precision", "map", "mdice", "miou", "macc", "recall", "f1",
    "iou", "dice", "psnr", "ssim", "bleu", "score",
)  # fmt: skip
LESS_KEYS = ("loss", "error", "mae", "mse", "rmse", "fid", "perplexity", "wer", "cer")


def infer_rule(
    name: str,
    greater_keys: Sequence[str] = GREATER_KEYS,
    less_keys: Sequence[str] = LESS_KEYS,
) -> Rule:
    """Return the rule of a metric from its name; whole names count before parts of names.

    Args:
        name: The name of the metric.
        greater_keys: Metric names, or parts of them, for which greater is better.
        less_keys: Metric names, or parts of them, for which less is better.

    Raises:
        ValueError: The name contains none of the keys.
    """
    low = name.lower()
    greater = [key.lower() for key in greater_keys]
    less = [key.lower() for key in less_keys]
    for matches in (lambda key: key == low, lambda key: key in low):
        if any(map(matches, greater)):
            return "greater"
        if any(map(matches, less)):
            return "less"
    raise ValueError(
        f"cannot infer from its name whether a greater or a lesser {name!r} is better; "
        "set rule='greater' or rule='less'"
    )
