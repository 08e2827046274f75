"""Write the page about runs to a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine_fileio import atomic_write
from engine_runner.report._find import RunFolder
from engine_runner.report._page import page
from engine_runner.report._run import RunData, best_of, read_run, rule_of

Progress = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A page that was written.

    Attributes:
        size: Its bytes.
        runs: The number of runs.
        is_running: Whether a training still writes to one of them.

    Example:
        >>> Written(size=120_000, runs=1, is_running=False).runs
        1
    """

    size: int
    runs: int
    is_running: bool


def write_report(
    folders: Sequence[RunFolder],
    out: Path,
    *,
    metric: str | None = None,
    refresh: float | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write the page about runs, which replaces an earlier one as a whole.

    Args:
        folders: The runs.
        out: The file.
        metric: Sort the runs by the best value of this metric.
        refresh: Let the page reload itself after as many seconds while a run is in progress.
        progress: Called with the name of a run and the read fraction of its scalars.

    Raises:
        ValueError: No run has the metric.
        OSError: The file cannot be written.
    """
    runs = []
    for folder in folders:
        runs.append(read_run(folder, partial(progress, folder.name) if progress else None))
    if metric is not None:
        runs = _sorted(runs, metric)
    running = any(run.state == "running" for run in runs)
    data = page(runs, refresh if running else None).encode("utf-8", errors="replace")
    with atomic_write(out, durable=False) as file:
        file.write(data)
    return Written(size=len(data), runs=len(runs), is_running=running)


def _sorted(runs: Sequence[RunData], metric: str) -> list[RunData]:
    """Return runs by their best value of a metric, the best first; those without it come last."""
    names = sorted({name for run in runs for name in run.scalars.series})
    if metric not in names:
        known = ", ".join(names) or "none"
        raise ValueError(f"--metric must be a logged value, got {metric!r}; logged are: {known}")
    sign = 1 if rule_of(metric) == "less" else -1

    def key(run: RunData) -> tuple[bool, float]:
        series = run.scalars.series.get(metric)
        best = None if series is None else best_of(metric, series)
        return best is None, sign * best[0] if best else 0.0

    return sorted(runs, key=key)
