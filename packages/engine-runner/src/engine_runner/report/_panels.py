"""Arrange the curves of runs in panels, and encode their points."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine_runner.report._run import RunData
from engine_runner.report._scalars import Series

GROUPS = {
    "loss": "Losses",
    "metric": "Metrics",
    "rate": "Learning rate",
    "speed": "Throughput",
    "memory": "Memory",
    "other": "Other values",
}
_FIRST = {"loss": 0, "lr": 0, "iterations per second": 0}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The curves of one name: the numbers of the runs that have it, with their values.

    Example:
        >>> Panel(name="loss", group="loss", unit="iteration", curves=[]).unit
        'iteration'
    """

    name: str
    group: str
    unit: str
    curves: list[tuple[int, Series]]


def panels_of(runs: Sequence[RunData]) -> list[Panel]:
    """Return one panel per name, in the order of the groups.

    Args:
        runs: The runs, whose places are their numbers.
    """
    names = dict.fromkeys(name for run in runs for name in run.scalars.series)
    panels = [_panel(name, runs) for name in names if not _is_echo(name, runs)]
    order = list(GROUPS)
    shown = [panel for panel in panels if panel.curves]
    return sorted(shown, key=lambda p: (order.index(p.group), _FIRST.get(p.name, 1), p.name))


def _panel(name: str, runs: Sequence[RunData]) -> Panel:
    having = [
        (n, r, r.scalars.series[name]) for n, r in enumerate(runs) if name in r.scalars.series
    ]
    group = having[0][2].group
    units = {run.scalars.metric_unit for _, run, _ in having}
    unit = units.pop() if group == "metric" and len(units) == 1 else "iteration"
    curves = [(n, one) for n, _, one in having if np.isfinite(one.values).any()]
    return Panel(name=name, group=group, unit=unit, curves=curves)


def _is_echo(name: str, runs: Sequence[RunData]) -> bool:
    """Return whether a name repeats another one, as ``base_lr`` does with a single rate."""
    if name != "base_lr":
        return False
    pairs = [(r.scalars.series.get("lr"), r.scalars.series.get(name)) for r in runs]
    return all(b is None or (a and np.array_equal(a.values, b.values)) for a, b in pairs)


def encode(panels: Sequence[Panel]) -> tuple[str, list[str]]:
    """Return the index of panels as JSON, and the points as one base64 text per curve.

    Regular steps are stored as start, distance and number. Values are 32-bit floats where these
    have their range, which are exact to seven digits.

    Args:
        panels: The panels.
    """
    texts: list[str] = []
    index: list[dict[str, Any]] = []
    for panel in panels:
        curves = []
        for run, one in panel.curves:
            steps = _regular(one.steps)
            wide = _needs_double(one.values)
            data = one.values.astype("<f8" if wide else "<f4").tobytes()
            if steps is None:  # first, because they are aligned to eight bytes
                data = one.steps.astype("<f8").tobytes() + data
            entry = {"run": run, "count": len(one.steps), "steps": steps, "wide": wide}
            curves.append({**entry, "text": len(texts)})
            texts.append(base64.b64encode(data).decode())
        index.append(
            {"name": panel.name, "group": panel.group, "unit": panel.unit, "curves": curves}
        )
    return as_json(index), texts


def as_json(value: Any) -> str:
    """Return a value as JSON that cannot end the element of a page that contains it."""
    return json.dumps(value).replace("<", "\\u003c")


def _regular(steps: np.ndarray) -> list[float] | None:
    if len(steps) == 1:
        return [float(steps[0]), 1.0]
    distance = float(steps[1] - steps[0])
    expected = steps[0] + distance * np.arange(len(steps))
    return [float(steps[0]), distance] if np.array_equal(expected, steps) else None


def _needs_double(values: np.ndarray) -> bool:
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    return bool(sizes.size and (sizes.max() > 3e38 or sizes.min() < 1.2e-38))
