"""Read the scalars of a run over iterations, epochs and time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from os import PathLike, fspath
from typing import Literal, get_args

from engine_visualization.plots._scalars import (
    base_name,
    is_rate,
    is_training,
    numbers_of,
    read_records,
)

XAxis = Literal["iter", "epoch", "time"]
Kind = Literal["loss", "metric", "rate", "throughput", "memory", "other", "timing"]

KINDS: tuple[Kind, ...] = get_args(Kind)
_POSITION = {"step", "epoch", "iter", "eta"}  # where the run is; these are not curves
_THROUGHPUT = "throughput"


@dataclass(kw_only=True)
class Series:
    """Store the values of one name, and where each was recorded. NaN is a gap.

    Example:
        >>> Series(kind="loss", x={"iter": [10], "time": [2.5]}, values=[0.5]).x["iter"]
        [10]
    """

    kind: Kind
    x: dict[XAxis, list[float]] = field(default_factory=lambda: {"iter": [], "time": []})
    values: list[float] = field(default_factory=list)

    def append(self, iteration: float, seconds: float, value: float) -> None:
        """Append a value."""
        self.x["iter"].append(iteration)
        self.x["time"].append(seconds)
        self.values.append(value)


@dataclass(kw_only=True)
class RunSeries:
    """Store all series of a run: of its training, and of its validation, by name.

    ``iters_per_epoch`` is None if the run counts no epochs; its series then have no epochs.

    Example:
        >>> RunSeries(training={"loss": Series(kind="loss")}).keys
        ['loss']
    """

    training: dict[str, Series] = field(default_factory=dict)
    validation: dict[str, Series] = field(default_factory=dict)
    iters_per_epoch: int | None = None

    @property
    def keys(self) -> list[str]:
        """The names, sorted."""
        return sorted({*self.training, *self.validation})


def read_run(scalars_json: str | PathLike[str]) -> RunSeries:
    """Read a file of scalars, one JSON object per line, on any storage of engine-fileio.

    Lines of training and validation are distinguished as in `read_scalars`. ``time`` is the seconds
    per iteration. It also gives ``throughput``, and the time of the training up to a line, without
    validations.

    Raises:
        ValueError: A line is not a JSON object.
    """
    run, epochs = RunSeries(), _Epochs()
    iteration = seconds = 0.0
    last_step = 0
    for record in read_records(fspath(scalars_json)):
        numbers = numbers_of(record)
        step = int(record.get("step", 0))
        if is_training(record):
            now = int(record.get("iter", step))
            took = next((v for k, v in numbers.items() if base_name(k) == "time"), math.nan)
            seconds += 0.0 if math.isnan(took) else took * max(now - iteration, 0)
            iteration = now
            epochs.see(now, int(record.get("epoch", 0)))
            _add_training(run, iteration, seconds, numbers)
        else:
            last_step = max(last_step, step)
            for name, value in _curves_of(numbers).items():
                if _kind(name) != "timing":
                    series = run.validation.setdefault(name, Series(kind="metric"))
                    series.append(step, seconds, value)
    for group in (run.training, run.validation):
        for name in [n for n, series in group.items() if all(map(math.isnan, series.values))]:
            del group[name]
    _add_epochs(run, epochs, last_step)
    return run


class _Epochs:
    """Find the number of iterations per epoch, of which a file has no record."""

    def __init__(self) -> None:
        self.last = self.least = 0

    def see(self, iteration: int, epoch: int) -> None:
        """Read a line of training: its iteration is in its epoch, so that an epoch is that long."""
        self.last = max(self.last, epoch)
        if epoch > 0:
            self.least = max(self.least, math.ceil(iteration / epoch))


def _add_training(
    run: RunSeries, iteration: float, seconds: float, numbers: Mapping[str, float]
) -> None:
    for name, value in _curves_of(numbers).items():
        series = run.training.setdefault(name, Series(kind=_kind(name)))
        series.append(iteration, seconds, value)
        if base_name(name) == "time":
            rate = 1 / value if value > 0 else math.nan
            series = run.training.setdefault(_THROUGHPUT, Series(kind="throughput"))
            series.append(iteration, seconds, rate)


def _curves_of(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if base_name(name) not in _POSITION}


@cache
def _kind(name: str) -> Kind:
    """Return what a scalar of training is."""
    base = base_name(name)
    if base in {"time", "data_time"}:
        return "timing"
    if base == "memory":
        return "memory"
    if is_rate(name):
        return "rate"
    return "loss" if "loss" in name else "other"


def _add_epochs(run: RunSeries, epochs: _Epochs, last_step: int) -> None:
    """Complete the places of the series; steps of validations are epochs or iterations."""
    length = run.iters_per_epoch = epochs.least or None
    in_epochs = length is not None and 0 < last_step <= epochs.last
    for series in run.validation.values():
        if in_epochs and length is not None:
            series.x["epoch"] = series.x["iter"]
            series.x["iter"] = [epoch * length for epoch in series.x["epoch"]]
    for series in [*run.training.values(), *run.validation.values()]:
        if length is not None and "epoch" not in series.x:
            series.x["epoch"] = [iteration / length for iteration in series.x["iter"]]
