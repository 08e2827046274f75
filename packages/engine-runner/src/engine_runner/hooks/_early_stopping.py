"""Stop a training whose metric has stopped improving."""

import math
from collections.abc import Mapping
from typing import Any

from engine_registry import HOOKS
from engine_runner._errors import SettingsError
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Metrics
from engine_runner._validation import never_validates
from engine_runner.checkpoint import BestMetric, best_metrics


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Stop the training when a metric has not improved for ``patience`` validations in a row.

    The number of validations without improvement and the best value are saved in each checkpoint,
    so that a resumed run counts on. `CheckpointHook` saves the state of the end if it has
    ``save_last``.

    Args:
        monitor: The metric, named as in ``save_best`` of `CheckpointHook`.
        rule: ``"greater"`` or ``"less"``; inferred from the metric's name by default.
        min_delta: The least improvement that counts, in units of the metric.
        strict: Raise if a validation does not report the metric, rather than warn.
        check_finite: Stop as soon as the metric is NaN or infinite.
        patience: The number of validations without improvement after which to stop.
        stopping_threshold: Stop as soon as the metric is at least as good as this value.

    Raises:
        ValueError: ``rule`` is unknown or cannot be inferred, ``min_delta`` is negative or not a
            number, ``stopping_threshold`` is not a number, or ``patience`` is not an integer >= 1.

    Example:
        >>> hook = EarlyStoppingHook("accuracy", min_delta=0.001, patience=3)
        >>> hook.rule, hook.state_dict()
        ('greater', {'best': None, 'waited': 0})
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: float = 0.1,
        strict: bool = False,
        check_finite: bool = True,
        patience: int = 5,
        stopping_threshold: float | None = None,
    ) -> None:
        if not isinstance(monitor, str) or not monitor:
            raise ValueError(f"monitor must be the name of a metric, got {monitor!r}")
        if not isinstance(min_delta, int | float) or not min_delta >= 0:
            raise ValueError(f"min_delta must be >= 0, got {min_delta!r}")
        if not isinstance(stopping_threshold, int | float | None):
            raise ValueError(
                f"stopping_threshold must be a number or None, got {stopping_threshold!r}"
            )
        self.monitor = monitor
        self.min_delta = min_delta
        self.strict = strict
        self.check_finite = check_finite
        self.patience = integer("patience", patience, at_least=1)
        self.stopping_threshold = stopping_threshold
        self._metric: BestMetric = best_metrics(monitor, rule, None, None)[0]
        self._best: float | None = None
        self._waited = 0
        self._trains = False

    @property
    def rule(self) -> str | None:
        """Whether a greater or a lesser value is better; None until ``"auto"`` is resolved."""
        return self._metric.rule

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and the number of validations since."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the best value of a saved run, and the number of validations since."""
        self._best, self._waited = state_dict["best"], int(state_dict["waited"])

    def before_train(self, runner: Run) -> None:
        """Count validations from now on: those of ``runner.val()`` stop nothing.

        Raises:
            SettingsError: The run never validates.
        """
        reason = never_validates(runner)
        if reason is not None:
            raise SettingsError(
                f"EarlyStoppingHook(monitor={self.monitor!r}) needs a validation, and {reason}; "
                "or remove the hook"
            )
        self._trains = True

    def after_train(self, runner: Run) -> None:
        """Count no more validations."""
        self._trains = False

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Compare the metric with the best one, and stop if there is reason to.

        Raises:
            SettingsError: The metric is missing, and ``strict`` is set.
        """
        if not self._trains:
            return
        score = self._score(runner, metrics or {})
        reason = None if score is None else self._reason_to_stop(score)
        if reason is not None:
            runner.logger.info(f"Training stops early: {self.monitor} {reason}.")
            runner.train_loop.stop_training = True

    def _score(self, runner: Run, metrics: Metrics) -> float | None:
        """Return the value of the metric; None, with a warning, if the validation has none."""
        try:
            return float(metrics[self._metric.name(metrics)])
        except (SettingsError, StopIteration):  # none of this name, or none at all
            names = ", ".join(map(repr, metrics)) or "nothing"
            message = (
                f"EarlyStoppingHook: monitor must be a metric of the validation, got "
                f"{self.monitor!r}; the validation reports {names}"
            )
            if self.strict:
                raise SettingsError(message) from None
            runner.logger.warning(f"{message}. The training continues without the check")
            return None

    def _reason_to_stop(self, score: float) -> str | None:
        """Return why to stop at a score, or None; counts the scores without improvement."""
        if self.check_finite and not math.isfinite(score):
            return f"is {score}, which is not finite"
        limit = self.stopping_threshold
        if limit is not None and self._at_least_as_good(score, limit):
            return f"is {score:.4f} and has reached the threshold {limit}"
        if self._improves(score):
            self._best, self._waited = score, 0
        else:
            self._waited += 1
        if self._waited < self.patience:
            return None
        best = "nan" if self._best is None else f"{self._best:.4f}"
        return (
            f"has not improved by more than {self.min_delta} over {best} in {self._waited} "
            "validations"
        )

    def _at_least_as_good(self, score: float, limit: float) -> bool:
        return score >= limit if self.rule == "greater" else score <= limit

    def _improves(self, score: float) -> bool:
        if self._best is None:
            return not math.isnan(score)
        gain = score - self._best if self.rule == "greater" else self._best - score
        return gain > self.min_delta
