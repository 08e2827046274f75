"""Choose the best checkpoint by a metric."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from engine_fileio import exists, join_path
from engine_runner._errors import SettingsError
from engine_runner._metric_rules import GREATER_KEYS, LESS_KEYS, Rule, infer_rule
from engine_runner._types import Metrics
from engine_utils import find_metric


@dataclass(slots=True, kw_only=True)
class BestMetric:
    """A metric that chooses the best checkpoint, and the best so far.

    Attributes:
        key: The metric's name, or ``"auto"`` for the first one of the first validation.
        rule: Whether a greater or a lesser value is better; ``None`` until the first validation
            names an ``"auto"`` metric.
        greater_keys: Metric names, or parts of them, for which greater is better.
        less_keys: Metric names, or parts of them, for which less is better.
        score: The best value so far.
        path: The checkpoint with that value.

    Example:
        >>> best = BestMetric(key="top-1", rule="greater", score=0.4)
        >>> best.improves(0.5)
        True
    """

    key: str
    rule: Rule | None
    greater_keys: Sequence[str] = field(default=GREATER_KEYS)
    less_keys: Sequence[str] = field(default=LESS_KEYS)
    score: float | None = None
    path: str | None = None

    def name(self, metrics: Metrics) -> str:
        """Return the metric's full name among the results, and set its rule.

        Raises:
            SettingsError: The validation does not report the metric.
        """
        name = next(iter(metrics)) if self.key == "auto" else find_metric(self.key, metrics)
        if name is None:
            raise SettingsError(
                f"save_best={self.key!r} is not among the metrics of the validation: "
                f"{', '.join(map(repr, metrics))}; choose one of them"
            )
        if self.rule is None:
            self.rule = infer_rule(name, self.greater_keys, self.less_keys)
        return name

    def improves(self, score: float) -> bool:
        """Return whether ``score`` is better than the best so far; NaN never is."""
        if math.isnan(score):
            return False
        if self.score is None or math.isnan(self.score):
            return True
        return score > self.score if self.rule == "greater" else score < self.score

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and its checkpoint."""
        return {"score": self.score, "path": self.path}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the best value of a saved run, and its checkpoint."""
        self.score, self.path = state_dict["score"], state_dict["path"]


def best_metrics(
    save_best: str | Sequence[str] | None,
    rule: str | Sequence[str] | None,
    greater_keys: Sequence[str] | None,
    less_keys: Sequence[str] | None,
) -> list[BestMetric]:
    """Return the metrics that ``save_best`` asks for, each with its rule.

    Raises:
        ValueError: A rule is unknown, the lists differ in length, or a metric's rule cannot be
            inferred from its name.
    """
    if save_best is None:
        return []
    keys = [save_best] if isinstance(save_best, str) else list(save_best)
    rules = [rule] * len(keys) if rule is None or isinstance(rule, str) else list(rule)
    if len(rules) != len(keys):
        raise ValueError(
            f"save_best names {len(keys)} metrics and rule {len(rules)}: give one rule per metric"
        )
    greater, less = tuple(greater_keys or GREATER_KEYS), tuple(less_keys or LESS_KEYS)
    return [
        BestMetric(
            key=key,
            rule=_checked_rule(key, given, greater, less),
            greater_keys=greater,
            less_keys=less,
        )
        for key, given in zip(keys, rules, strict=True)
    ]


def best_names(
    best: Sequence[BestMetric], folder: str, backend_args: Mapping[str, Any] | None
) -> list[str]:
    """Return the names of the best checkpoints in a folder.

    A resumed run in another folder has the best of the earlier run, which stays where it is. The
    folder itself may have moved since the path was saved.
    """
    args = dict(backend_args) if backend_args else None
    paths = {
        item.path: join_path(folder, PurePath(item.path).name, backend_args=args)
        for item in best
        if item.path
    }
    return [
        PurePath(path).name
        for path, here in paths.items()
        if path == here or exists(here, backend_args=args)
    ]


def _checked_rule(
    key: str, given: str | None, greater: Sequence[str], less: Sequence[str]
) -> Rule | None:
    if given == "greater":
        return "greater"
    if given == "less":
        return "less"
    if given is not None:
        raise ValueError(f"rule must be 'greater' or 'less', got {given!r}")
    return None if key == "auto" else infer_rule(key, greater, less)
