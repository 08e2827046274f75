"""Read the scalars of a run into arrays, fast and in bounded memory."""

import json
import math
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Group = Literal["loss", "metric", "rate", "speed", "memory", "other"]

_BATCH = 5000  # lines per call of the JSON reader, which is slow for single lines
_COUNTERS = ("step", "epoch", "iter")
_SPEEDS = ("time", "throughput", "per_sec", "/s", "eta", "utilization", "mfu", "fps")


@dataclass(frozen=True, kw_only=True)
class Series:
    """The values of one name.

    Attributes:
        steps: The steps, ``(N,)``, ascending.
        values: The values, ``(N,)``; NaN where the run had NaN, infinity or null.
        group: What the values are.

    Example:
        >>> Series(steps=np.arange(3.0), values=np.ones(3), group="loss").steps
        array([0., 1., 2.])
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    group: Group


@dataclass(frozen=True, kw_only=True)
class Scalars:
    """The series of a run by name, and the lines that could not be read.

    Example:
        >>> Scalars(series={}, broken=1, metric_unit="epoch").broken
        1
    """

    series: Mapping[str, Series]
    broken: int
    metric_unit: str


class _Column:
    """The points of one name while the file is read."""

    def __init__(self) -> None:
        self.steps, self.values, self.trains = array("d"), array("d"), False


def read_scalars(path: Path, progress: Callable[[float], None] | None = None) -> Scalars:
    """Read a file of scalars. Its last line may be cut off, as a killed run leaves it.

    Of several values of one step, such as those before and after a resume, the last counts.

    Args:
        path: ``vis_data/scalars.json``.
        progress: Called with the read fraction of the file.
    """
    columns: dict[str, _Column] = {}
    broken, epochs, last_validation = 0, 0.0, 0.0
    for records, damaged in _batches(path, progress):
        broken += damaged
        for record in records:
            trains = "iter" in record or "lr" in record
            step = _number(record.get("step", 0))
            if math.isnan(step):
                broken += 1
                continue
            if trains:
                epochs = max(epochs, _number(record.get("epoch", 0)))
            elif len(record) > 1:
                last_validation = max(last_validation, step)
            _add(columns, record, step, trains=trains)
    series = {name: _series(name, column) for name, column in sorted(columns.items())}
    _add_rate_of_iterations(series)
    unit = "epoch" if 0 < last_validation <= epochs else "iteration"
    return Scalars(series=series, broken=broken, metric_unit=unit)


def _batches(
    path: Path, progress: Callable[[float], None] | None
) -> Iterator[tuple[list[dict[str, Any]], int]]:
    size = max(path.stat().st_size, 1)
    done = 0
    with path.open("rb") as file:
        while lines := list(islice(file, _BATCH)):
            done += sum(map(len, lines))
            yield _records(lines)
            if progress:
                progress(done / size)


def _records(lines: list[bytes]) -> tuple[list[dict[str, Any]], int]:
    """Return the objects of lines, and how many lines are not objects."""
    full = [line for line in lines if not line.isspace()]
    try:
        found: list[Any] = json.loads(b"[" + b",".join(full) + b"]")
    except ValueError:
        found = [_record(line) for line in full]
    if len(found) != len(full):  # a line has several values
        found = [_record(line) for line in full]
    records = [record for record in found if isinstance(record, dict)]
    return records, len(full) - len(records)


def _record(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _add(
    columns: dict[str, _Column], record: Mapping[str, Any], step: float, *, trains: bool
) -> None:
    for name, value in record.items():
        if name in _COUNTERS:
            continue
        kind = type(value)
        if kind is not float and kind is not int and value is not None:
            continue
        column = columns.get(name)
        if column is None:
            column = columns[name] = _Column()
        column.steps.append(step)
        column.values.append(_number(value))
        column.trains = column.trains or trains


def _number(value: Any) -> float:
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:  # an integer that is larger than a float
        return math.nan


def _series(name: str, column: _Column) -> Series:
    steps, values = np.array(column.steps), np.array(column.values)
    if np.any(np.diff(steps) <= 0):
        # The first of the reversed is the last that was written.
        steps, places = np.unique(steps[::-1], return_index=True)
        values = values[::-1][places]
    return Series(steps=steps, values=values, group=_group(name, trains=column.trains))


def _group(name: str, *, trains: bool) -> Group:
    low = name.lower()
    if low.replace("/", ".").rsplit(".", 1)[-1] in ("lr", "base_lr", "momentum"):
        return "rate"
    if "memory" in low:
        return "memory"
    if low in ("time", "data_time") or any(word in low for word in _SPEEDS):
        return "speed"
    if not trains:
        return "metric"
    return "loss" if "loss" in low else "other"


def _add_rate_of_iterations(series: dict[str, Series]) -> None:
    time = series.get("time")
    if time is not None:
        with np.errstate(divide="ignore"):
            values = np.where(time.values > 0, 1 / time.values, np.nan)
        series["iterations per second"] = Series(steps=time.steps, values=values, group="speed")
