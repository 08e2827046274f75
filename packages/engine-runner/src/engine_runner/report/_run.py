"""Read all that a page shows of one run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from engine_runner._metric_rules import infer_rule
from engine_runner.report._checkpoints import Checkpoint, read_checkpoints
from engine_runner.report._config import RunConfig, read_config
from engine_runner.report._find import RunFolder
from engine_runner.report._log import LogFacts, read_logs
from engine_runner.report._pictures import Picture, read_pictures
from engine_runner.report._scalars import Scalars, Series, read_scalars

State = Literal["running", "ended"]


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The content of the files of a run.

    Attributes:
        folder: Where the files are.
        state: Whether a training writes to the folder now.
        scalars: Its curves.
        log: The facts of its log files.
        config: Its config, without secrets.
        checkpoints: The checkpoints of its work directory.
        pictures: Its sample predictions.
        further_pictures: The number of pictures that are left out.

    Example:
        >>> from engine_runner.report import find_runs
        >>> def losses(work_dir):
        ...     run = read_run(find_runs([work_dir])[0])
        ...     return run.scalars.series["loss"].values
    """

    folder: RunFolder
    state: State
    scalars: Scalars
    log: LogFacts
    config: RunConfig
    checkpoints: list[Checkpoint]
    pictures: list[Picture]
    further_pictures: int

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.name


def read_run(folder: RunFolder, progress: Callable[[float], None] | None = None) -> RunData:
    """Read the files of a run. A file that is missing leaves its part empty.

    Args:
        folder: The folders of the run.
        progress: Called with the read fraction of the scalars.
    """
    path = folder.vis_data / "scalars.json"
    empty = Scalars(series={}, broken=0, metric_unit="iteration")
    log = read_logs([p for attempt in folder.attempts for p in sorted(attempt.glob("*.log"))])
    pictures, further = read_pictures(folder.vis_data / "vis_image")
    return RunData(
        folder=folder,
        state="running" if folder.is_running else "ended",
        scalars=read_scalars(path, progress) if path.is_file() else empty,
        log=log,
        config=read_config(_latest_vis_data(folder)),
        checkpoints=read_checkpoints(folder.work_dir, log.best),
        pictures=pictures,
        further_pictures=further,
    )


def best_of(name: str, series: Series) -> tuple[float, float] | None:
    """Return the best value of a metric and its step; the last, if no value is better by its name.

    Args:
        name: The name of the metric.
        series: Its values.
    """
    finite = np.flatnonzero(np.isfinite(series.values))
    if not finite.size:
        return None
    values = series.values[finite]
    place = {"greater": values.argmax, "less": values.argmin}.get(rule_of(name) or "")
    index = finite[int(place()) if place else -1]
    return float(series.values[index]), float(series.steps[index])


def rule_of(name: str) -> str | None:
    """Return whether a greater or a lesser value of a metric is better; None if it is unknown."""
    try:
        return infer_rule(name)
    except ValueError:
        return None


def _latest_vis_data(folder: RunFolder) -> Path:
    stored = [attempt / "vis_data" for attempt in folder.attempts]
    return next((path for path in reversed(stored) if any(path.glob("config.*"))), stored[0])
