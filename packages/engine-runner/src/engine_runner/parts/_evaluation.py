"""Build the evaluators."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine_evaluator import Evaluator
from engine_registry import EVALUATOR


def build_evaluator(evaluator: Any) -> Evaluator:
    """Return the evaluator of a metric, of several, or of a config with ``metrics``.

    Args:
        evaluator: An evaluator, a metric, a list of metrics, or configs of them.
    """
    if isinstance(evaluator, Evaluator):
        return evaluator
    if isinstance(evaluator, Mapping) and "metrics" in evaluator:
        built: Evaluator = EVALUATOR.build({"type": Evaluator, **evaluator})
        return built
    return Evaluator(list(evaluator) if isinstance(evaluator, Sequence) else [evaluator])
