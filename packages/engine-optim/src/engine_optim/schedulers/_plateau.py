"""A factor each time a metric has stopped improving."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._faces import LearningRateFace, MomentumFace
from engine_registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauParamScheduler(_ParamScheduler):
    """Multiply the value by ``factor`` when a metric has not improved for ``patience`` evaluations.

    ``step()`` without metrics counts a step of training; ``step(metrics)`` after a validation looks
    at the metric, if the counted steps lie in ``[begin, end)``. The rules are those of
    ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        param_name: The key in ``param_groups`` to schedule.
        monitor: The key of the metric in the validation results.
        rule: ``less`` if lower is better, ``greater`` if higher is.
        factor: What the value is multiplied by, below 1.
        patience: Evaluations without improvement that are let pass.
        threshold: How much better counts as better.
        threshold_rule: ``rel``: by this part of the best; ``abs``: by this difference.
        cooldown: Evaluations after a reduction in which none is counted as bad.
        min_value: The lower bound, one for all groups or one for each.
        eps: A reduction by less than this is left out.
        begin: The first training step at which metrics are looked at.
        end: The first at which they are not any more.
        last_step: The last evaluation looked at, to go on without a state dict.
        by_epoch: Whether training steps are epochs or iterations.
        verbose: Log each new value.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, weight_decay=1.0)
        >>> scheduler = ReduceOnPlateauParamScheduler(optimizer, "weight_decay", patience=0)
        >>> for loss in (0.5, 0.5):
        ...     scheduler.step({"loss": loss})
        >>> optimizer.param_groups[0]["weight_decay"]
        0.1
    """

    #: Tells the owner to call ``step(metrics)`` after each validation.
    need_val_args: ClassVar[bool] = True

    def __init__(
        self,
        optimizer: Schedulable,
        param_name: str,
        monitor: str = "loss",
        rule: Literal["less", "greater"] = "less",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_rule: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_value: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"factor={factor} must be below 1: it reduces the value")
        if rule not in ("less", "greater"):
            raise ValueError(f"rule={rule!r}; choose 'less' or 'greater'")
        if threshold_rule not in ("rel", "abs"):
            raise ValueError(f"threshold_rule={threshold_rule!r}; choose 'rel' or 'abs'")
        self.monitor, self.rule, self.factor, self.patience = monitor, rule, factor, patience
        self.threshold, self.threshold_rule = threshold, threshold_rule
        self.cooldown, self.eps = cooldown, eps
        self.min_value = list(min_value) if isinstance(min_value, Sequence) else [min_value]
        self.best = float("inf") if rule == "less" else float("-inf")
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)
        count = len(self._groups())
        if len(self.min_value) not in (1, count):
            raise ValueError(
                f"{len(self.min_value)} values of min_value for {count} parameter groups"
            )

    def step(self, metrics: Mapping[str, Any] | None = None) -> None:
        """Count a step of training, or look at the metrics of a validation.

        Args:
            metrics: The validation results; a tensor among them is read as a number.

        Raises:
            TypeError: If ``metrics`` is no mapping.
            KeyError: If it lacks the monitored one.
        """
        if metrics is None:
            self._global_step += 1
            return
        if not isinstance(metrics, Mapping):
            raise TypeError(
                f"metrics is a {type(metrics).__name__}; give a dict of the validation results"
            )
        if not self.begin <= self._global_step < self.end:
            return
        if self.monitor not in metrics:
            raise KeyError(
                f"monitor={self.monitor!r} is not among the validation results: "
                f"{', '.join(sorted(metrics)) or 'none'}"
            )
        self.last_step += 1
        self._observe(float(metrics[self.monitor]))
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self._assign(self._get_value())

    def _observe(self, metric: float) -> None:
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0

    def _is_better(self, metric: float) -> bool:
        sign = -1.0 if self.rule == "less" else 1.0
        if self.threshold_rule == "abs":
            bound = self.best + sign * self.threshold
        else:
            bound = self.best * (1.0 + sign * self.threshold)
        return metric < bound if self.rule == "less" else metric > bound

    def _get_value(self) -> list[Value]:
        values = self._current()
        lows = self.min_value if len(self.min_value) > 1 else self.min_value * len(values)
        reduced = [max(v * self.factor, low) for v, low in zip(values, lows, strict=True)]
        return [
            new if old - new > self.eps else old for old, new in zip(values, reduced, strict=True)
        ]


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauLR(LearningRateFace, ReduceOnPlateauParamScheduler):
    """:class:`ReduceOnPlateauParamScheduler` of the learning rate.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`ReduceOnPlateauParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = ReduceOnPlateauLR(optimizer, monitor="acc", rule="greater", patience=0)
        >>> for acc in (0.7, 0.6):
        ...     scheduler.step({"acc": acc})
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauMomentum(MomentumFace, ReduceOnPlateauParamScheduler):
    """:class:`ReduceOnPlateauParamScheduler` of the momentum, or the first of ``betas``.

    Args:
        optimizer: A torch optimizer or an ``OptimWrapper``.
        *args: As for :class:`ReduceOnPlateauParamScheduler`, after ``param_name``.
        **kwargs: Likewise.

    Example:
        >>> from torch import nn, optim
        >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.8)
        >>> scheduler = ReduceOnPlateauMomentum(optimizer, factor=0.5, patience=0)
        >>> for loss in (0.5, 0.5):
        ...     scheduler.step({"loss": loss})
        >>> optimizer.param_groups[0]["momentum"]
        0.4
    """
