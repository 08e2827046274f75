"""Multiply by a factor each time a metric stops improving."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule
from engine_utils import find_metric


@schedule
class ReduceOnPlateauParamScheduler(_ParamScheduler):
    """Multiply the value by ``factor`` when a metric has not improved for ``patience`` evaluations.

    ``step()`` without metrics counts a step of training. ``step(metrics)`` after a validation reads
    the metric, if the counted steps lie in ``[begin, end)``; ``last_step`` counts these
    evaluations. The rules are those of `torch.optim.lr_scheduler.ReduceLROnPlateau`.

    Args:
        monitor: The metric in the validation results; its prefix may be left out where only one
            metric has that ending.
        rule: ``less`` if lower is better, ``greater`` if higher is.
        factor: The factor of a reduction, below 1.
        patience: The evaluations without improvement before a reduction.
        threshold: The least improvement that counts.
        threshold_rule: Whether ``threshold`` is relative to the best value (``rel``) or a
            difference (``abs``).
        cooldown: The number of evaluations after a reduction that never count as bad.
        min_value: The lower bound: one value, or one per group.
        eps: The smallest reduction; a smaller one is skipped.
        optimizer, param_name, begin, end, last_step, by_epoch, verbose: See `_ParamScheduler`.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = ReduceOnPlateauLR(optimizer, monitor="acc", rule="greater", patience=0)
        >>> for acc in (0.7, 0.6):
        ...     scheduler.step({"acc": acc})
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """

    #: The caller passes the metrics of each validation to `step`.
    need_val_args: ClassVar[bool] = True

    optimizer: Schedulable
    param_name: str
    monitor: str = "loss"
    rule: Literal["less", "greater"] = "less"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_rule: Literal["rel", "abs"] = "rel"
    cooldown: int = 0
    min_value: float | Sequence[float] = 0.0
    eps: float = 1e-8
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.factor >= 1.0:
            raise ValueError(f"factor must be below 1 to reduce the value, got {self.factor}")
        if self.rule not in ("less", "greater"):
            raise ValueError(f"rule must be 'less' or 'greater', got {self.rule!r}")
        if self.threshold_rule not in ("rel", "abs"):
            raise ValueError(f"threshold_rule must be 'rel' or 'abs', got {self.threshold_rule!r}")
        bounds = self.min_value
        self.min_value = list(bounds) if isinstance(bounds, Sequence) else [bounds]
        self.best = float("inf") if self.rule == "less" else float("-inf")
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        # The steps of training after which the value was reduced, once per reduction.
        self.reductions: list[int] = []
        super().__post_init__()
        # Check this last: the base class sets the attributes that `_groups` reads.
        given, count = len(self.min_value), len(self._groups())
        if given not in (1, count):
            raise ValueError(
                f"min_value must have one value, or one per parameter group, got {given} for "
                f"{count} groups"
            )

    def step(self, metrics: Mapping[str, Any] | None = None) -> None:
        """Count a step of training, or read the metrics of a validation.

        Args:
            metrics: The validation results; a tensor among them is read as a number.

        Raises:
            TypeError: ``metrics`` is not a mapping.
            KeyError: ``metrics`` lacks the monitored metric.
        """
        # The caller steps all schedulers in the same way; only a validation passes metrics.
        if metrics is None:
            self._global_step += 1
            return
        if not isinstance(metrics, Mapping):
            raise TypeError(
                f"metrics must be a dict of the validation results, got {type(metrics).__name__}"
            )
        if not self.begin <= self._global_step < self.end:
            return
        name = find_metric(self.monitor, metrics)
        if name is None:
            raise KeyError(
                f"monitor={self.monitor!r} is not among the validation results: "
                f"{', '.join(sorted(metrics)) or 'none'}"
            )
        self.last_step += 1
        self._observe(float(metrics[name]))
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self.reductions.append(self._global_step)
            self._assign(self._get_value())

    def repeat_step(self) -> None:
        """Count a step of training, and reduce the value if the saved run did then."""
        super().repeat_step()
        for _ in range(self.reductions.count(self._global_step)):
            self._assign(self._get_value())

    def lived_names(self) -> frozenset[str]:
        """Return the attributes that evaluations have changed, with their number."""
        return super().lived_names() | {"last_step"}

    def _observe(self, metric: float) -> None:
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        # As in torch, the first evaluation after a reduction already counts as cooldown.
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0

    def _is_better(self, metric: float) -> bool:
        # Before the first metric ``best`` is infinite, and any number is better.
        sign = -1.0 if self.rule == "less" else 1.0
        if self.threshold_rule == "abs":
            bound = self.best + sign * self.threshold
        else:
            bound = self.best * (1.0 + sign * self.threshold)
        return metric < bound if self.rule == "less" else metric > bound

    def _get_value(self) -> list[Value]:
        values = self._current()
        bounds: list[float] = self.min_value  # type: ignore[assignment]  # a list after init
        lows = bounds if len(bounds) > 1 else bounds * len(values)
        reduced = [max(v * self.factor, low) for v, low in zip(values, lows, strict=True)]
        return [
            new if old - new > self.eps else old for old, new in zip(values, reduced, strict=True)
        ]


@schedule
class ReduceOnPlateauLR(LRSchedulerMixin, ReduceOnPlateauParamScheduler):
    """Schedule the learning rate: see `ReduceOnPlateauParamScheduler`."""


@schedule
class ReduceOnPlateauMomentum(MomentumSchedulerMixin, ReduceOnPlateauParamScheduler):
    """Schedule the momentum: see `ReduceOnPlateauParamScheduler`."""
