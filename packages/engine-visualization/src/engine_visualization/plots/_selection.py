"""Select the series of runs that are plotted."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import get_args

from engine_utils import did_you_mean
from engine_visualization.plots._runs import RunSeries, Series, XAxis

_LISTED = 40  # names in a message

Choice = tuple[str, str, Series]
"""The name of a run, the name of a series, and the series."""


def choose(runs: Mapping[str, RunSeries], keys: Sequence[str]) -> list[Choice]:
    """Return the series to plot.

    Raises:
        ValueError: No series has the name of a key, or there are no series.
    """
    every = sorted({key for run in runs.values() for key in run.keys})
    if not every:
        raise ValueError(f"the runs must have recorded numbers, got none in {', '.join(runs)}")
    for key in keys:
        if not any(fnmatchcase(name, key) for name in every):
            names = [*every[:_LISTED], *(["…"] if len(every) > _LISTED else [])]
            raise ValueError(
                f"keys must be names of the runs, got {key!r}{did_you_mean(key, every)}; "
                f"the names are {', '.join(names)}"
            )
    chosen = []
    for run_name, run in runs.items():
        for name, series in _series_of(run):
            is_default = series.kind != "timing" and not _is_echo(name, run)
            if any(fnmatchcase(name, key) for key in keys) if keys else is_default:
                chosen.append((run_name, name, series))
    if not chosen:
        raise ValueError(f"the runs have only {', '.join(every)}; select them with keys")
    return chosen


def _series_of(run: RunSeries) -> Iterator[tuple[str, Series]]:
    yield from run.training.items()
    yield from run.validation.items()


def _is_echo(name: str, run: RunSeries) -> bool:
    """Return whether a series is a base rate that repeats the rate."""
    if not name.endswith("base_lr") or name not in run.training:
        return False
    rate = run.training.get(name.removesuffix("base_lr") + "lr")
    return rate is not None and rate.values == run.training[name].values


def check_x(x: XAxis, chosen: Sequence[Choice], runs: Mapping[str, RunSeries]) -> None:
    """Check that the runs have a horizontal axis.

    Raises:
        ValueError: There is no such axis, or a run has not recorded it.
    """
    if x not in get_args(XAxis):
        raise ValueError(f"x must be one of {', '.join(get_args(XAxis))}, got {x!r}")
    for run, _, _ in chosen:
        if x == "epoch" and runs[run].iters_per_epoch is None:
            raise ValueError(
                f"x must be iter or time, got epoch: {run} has no epochs in its records"
            )
    if x == "time" and not any(any(series.x["time"]) for _, _, series in chosen):
        raise ValueError("x must be iter or epoch, got time: the runs have no 'time' recorded")
