"""Read the scalars of a run as curves."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from os import PathLike, fspath
from typing import Any, Literal

from engine_fileio import get_text

# These keys of a line describe the run. They are not curves.
_BOOKKEEPING = {"step", "epoch", "iter", "time", "data_time", "memory", "eta"}


@dataclass(kw_only=True)
class Curve:
    """Store the values of one name and their steps. NaN is a gap.

    Example:
        >>> curve = Curve()
        >>> curve.append(10, 0.5)
        >>> curve
        Curve(steps=[10], values=[0.5])
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def append(self, step: int, value: float) -> None:
        """Append a value."""
        self.steps.append(step)
        self.values.append(value)


@dataclass(kw_only=True)
class RunScalars:
    """Store the curves of a run, by name.

    The steps of losses and rates are iterations. The steps of validation metrics are epochs or
    iterations, according to ``metric_unit``.

    Example:
        >>> run = RunScalars(losses={"loss": Curve(steps=[10, 20], values=[0.5, 0.25])})
        >>> min(run.losses["loss"].values)
        0.25
    """

    losses: dict[str, Curve] = field(default_factory=dict)
    rates: dict[str, Curve] = field(default_factory=dict)
    metrics: dict[str, Curve] = field(default_factory=dict)
    metric_unit: Literal["epoch", "iteration"] = "iteration"


def read_scalars(scalars_json: str | PathLike[str]) -> RunScalars:
    """Read a file of scalars, one JSON object per line, on any storage of engine-fileio.

    A line with a learning rate or an iteration is from training, and its losses and rates are read.
    Any other line is from validation, and all its numbers are read as metrics. ``null``, NaN and
    infinity become NaN, so that the curve has a gap there.

    Raises:
        ValueError: A line is not a JSON object, or no line has a loss, a rate or a metric.
    """
    scalars, last_epoch, last_metric_step = RunScalars(), 0, 0
    for record in read_records(fspath(scalars_json)):
        step = int(record.get("step", 0))
        numbers = {
            name: value
            for name, value in numbers_of(record).items()
            if base_name(name) not in _BOOKKEEPING
        }
        if is_training(record):
            last_epoch = max(last_epoch, int(record.get("epoch", 0)))
            _add_training(scalars, step, numbers)
        else:
            last_metric_step = max(last_metric_step, step)
            for name, value in numbers.items():
                scalars.metrics.setdefault(name, Curve()).append(step, value)
    _remove_empty(scalars)
    if not (scalars.losses or scalars.rates or scalars.metrics):
        raise ValueError(
            f"{fspath(scalars_json)} must contain losses, learning rates or metrics, got none"
        )
    # The file does not store the unit of validation steps. They are epochs if none exceeds the
    # number of epochs.
    if 0 < last_metric_step <= last_epoch:
        scalars.metric_unit = "epoch"
    return scalars


def read_records(path: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of scalars.

    A last line without its end is left out: a training is writing it, or was killed there.

    Raises:
        ValueError: A line is not a JSON object.
    """
    text = get_text(path)
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if 1 < number == len(lines) and not text.endswith("\n"):
                return
            raise ValueError(f"{path}:{number} must be JSON: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path}:{number} must be an object, got a {type(record).__name__}")
        yield record


def _add_training(scalars: RunScalars, step: int, numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        if is_rate(name):
            scalars.rates.setdefault(name, Curve()).append(step, value)
        elif "loss" in name:
            scalars.losses.setdefault(name, Curve()).append(step, value)


def is_training(record: Mapping[str, Any]) -> bool:
    """Return whether a line is from training: it has an iteration, or a learning rate."""
    return "iter" in record or any(is_rate(name) for name, v in record.items() if _is_number(v))


@cache  # a file repeats its names on each line
def is_rate(name: str) -> bool:
    """Return whether a name is that of a learning rate, such as ``lr`` and ``train/head.lr``."""
    return name.replace("/", ".").rsplit(".", 1)[-1] in {"lr", "base_lr"}


@cache
def base_name(name: str) -> str:
    """Return a name without the loop that ``log_with_hierarchy`` writes before it."""
    return name.rsplit("/", 1)[-1]


def numbers_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line; ``null``, NaN and infinity become NaN."""
    return {name: _number(value) for name, value in record.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(value: float | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _remove_empty(scalars: RunScalars) -> None:
    """Remove the curves that have gaps only."""
    for curves in (scalars.losses, scalars.rates, scalars.metrics):
        for name, curve in list(curves.items()):
            if all(map(math.isnan, curve.values)):
                del curves[name]
