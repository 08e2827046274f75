"""Find one value among the results of an evaluation."""

from collections.abc import Mapping
from typing import Any


def get_metric_value(indicator: str, metrics: Mapping[str, Any]) -> Any:
    """Return a value by its full name, or by its name without prefix if only one has that name.

    Args:
        indicator: The name, such as ``"coco/AP"`` or ``"AP"``.
        metrics: The values that an evaluator returned.

    Raises:
        ValueError: No value has that name, or several values with different prefixes have it.

    Example:
        >>> get_metric_value("AP", {"coco/AP": 0.4, "coco/AR": 0.6})
        0.4
    """
    if indicator in metrics:
        return metrics[indicator]
    matches = [] if "/" in indicator else [n for n in metrics if n.split("/")[-1] == indicator]
    if not matches:
        raise ValueError(f"no metric {indicator!r}; the evaluation returned {list(metrics)}")
    if len(matches) > 1:
        raise ValueError(f"{indicator!r} is ambiguous; use one of the full names {matches}")
    return metrics[matches[0]]
