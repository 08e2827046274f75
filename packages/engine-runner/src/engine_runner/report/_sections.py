"""The sections of a page: tables and pictures, all texts escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from engine_runner.report._config import ABSENT, differences
from engine_runner.report._panels import GROUPS, Panel
from engine_runner.report._pictures import Picture
from engine_runner.report._run import RunData, best_of
from engine_runner.report._svg import draw

_UNITS = ("B", "KB", "MB", "GB", "TB")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a caption; the first cell of a row is its heading.

    Args:
        caption: The caption, a text.
        head: The headings of the columns, texts.
        rows: The cells as HTML, which are escaped already.
    """
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    label = escape(caption, quote=True)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def overview(runs: Sequence[RunData], panels: Sequence[Panel]) -> str:
    """Return the table of runs, with the best value of each metric and the last loss."""
    metrics = [p for p in panels if p.group == "metric"]
    losses = [p for p in panels if p.name == "loss" and p.group == "loss"]
    rows = []
    for number, run in enumerate(runs):
        cells = [f'{swatch(number)}<span class="run">{escape(run.name)}</span>', run.state]
        cells += [escape(run.log.started or ABSENT), escape(run.log.ended or ABSENT)]
        cells.append(str(len(run.folder.attempts)))
        steps = [
            float(one.steps[-1]) for one in run.scalars.series.values() if one.group != "metric"
        ]
        cells.append(f"{max(steps):.0f}" if steps else ABSENT)
        cells += [_last(panel, number) for panel in losses]
        cells += [_best(panel, number) for panel in metrics]
        rows.append(cells)
    head = ["run", "state", "first log line", "last log line", "attempts", "iterations"]
    head += [f"last {panel.name}" for panel in losses] + [f"best {p.name}" for p in metrics]
    return table("Runs", head, rows)


def swatch(number: int) -> str:
    """Return the sample of the line of a run."""
    return (
        f'<svg class="swatch" viewBox="0 0 24 8" aria-hidden="true"><g class="s{number % 8} '
        f'd{number // 8 % 3}"><path d="M0 4H24"/></g></svg>'
    )


def charts(panels: Sequence[Panel]) -> str:
    """Return the groups of curves, each curve as SVG, which a script replaces."""
    parts = []
    for group, title in GROUPS.items():
        inside = [(n, panel) for n, panel in enumerate(panels) if panel.group == group]
        if not inside:
            continue
        figures = "".join(
            f'<figure class="panel" data-panel="{n}"><figcaption>{escape(p.name)}</figcaption>'
            f'<div class="plot">{draw(p.curves, p.name, p.unit)}</div>'
            f'<p class="unit">{p.unit}</p></figure>'
            for n, p in inside
        )
        parts.append(f'<h3>{title}</h3><div class="grid">{figures}</div>')
    return "".join(parts) or "<p>The runs have not logged values yet.</p>"


def configs(runs: Sequence[RunData]) -> str:
    """Return the differences of the configs, and each config."""
    parts = []
    if len(runs) > 1:
        found = differences([run.config for run in runs])
        rows = [(_code(key), *map(_code, values)) for key, values in found]
        names = [run.name for run in runs]
        same = "<p>The configs of the runs are equal.</p>"
        parts.append(table("Where the configs differ", ["key", *names], rows) if rows else same)
    for run in runs:
        problem = f"<p>{escape(run.config.problem)}</p>" if run.config.problem else ""
        text = f"<pre>{escape(run.config.text)}</pre>" if run.config.text else ""
        parts.append(
            f"<details><summary>Config of {escape(run.name)}</summary>{problem}{text}</details>"
        )
    return "".join(parts)


def environment(runs: Sequence[RunData]) -> str:
    """Return the environment of each run as a table with one column per run."""
    names = dict.fromkeys(name for run in runs for name in run.log.environment)
    if not names:
        return "<p>The logs do not contain the environment.</p>"
    rows = [
        (escape(name), *(_folded(run.log.environment.get(name, ABSENT)) for run in runs))
        for name in names
    ]
    return table("Environment", ["entry", *(run.name for run in runs)], rows)


def pictures(runs: Sequence[RunData]) -> str:
    """Return the sample predictions."""
    parts = []
    for run in runs:
        figures = "".join(_figure(picture, run.name) for picture in run.pictures)
        if run.pictures or run.further_pictures:
            more = run.further_pictures
            note = f"<p>{more} further pictures are in its folder only.</p>" if more else ""
            parts.append(f'<h3>{escape(run.name)}</h3><div class="pictures">{figures}</div>{note}')
    return "".join(parts) or "<p>The runs have not saved pictures.</p>"


def _figure(picture: Picture, run: str) -> str:
    name = f"{picture.name}, step {picture.step}"
    return (
        f'<figure><img src="{picture.address}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(f"{name}, of {run}", quote=True)}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def checkpoints(runs: Sequence[RunData]) -> str:
    """Return the checkpoints on disk of each work directory."""
    parts = []
    for folder in dict.fromkeys(run.folder.work_dir for run in runs):
        # The last run of a folder has saved last.
        run = [run for run in runs if run.folder.work_dir == folder][-1]
        rows = [
            (
                _code(one.name), size_text(one.size), escape(one.position or ABSENT),
                escape(one.saved), {True: "yes", False: "no", None: ABSENT}[one.is_resumable],
                escape(", ".join(filter(None, ("last" if one.is_last else "", _why(one.best))))),
            )
            for one in run.checkpoints
        ]  # fmt: skip
        head = ["file", "size", "position", "written", "resumable", "role"]
        name = f"Checkpoints of {run.name}"
        parts.append(table(name, head, rows) if rows else f"<p>{escape(name)}: none on disk.</p>")
    return "".join(parts)


def messages(runs: Sequence[RunData]) -> str:
    """Return warnings and errors of the logs."""
    parts = []
    for run in runs:
        rows = [
            (
                f'<span class="{one.level.lower()}">{one.level}</span>', escape(one.first),
                f"{one.count}, last {escape(one.last)}" if one.count > 1 else "1",
                f'<span class="message">{escape(one.text)}</span>',
            )
            for one in run.log.messages
        ]  # fmt: skip
        if rows:
            head = ["level", "first", "times", "message"]
            parts.append(table(f"Warnings and errors of {run.name}", head, rows))
        if run.log.omitted:
            parts.append(f"<p>{run.log.omitted} further lines are in the log only.</p>")
        if run.scalars.broken:
            parts.append(
                f"<p>{escape(run.name)}: {run.scalars.broken} broken lines of scalars.json were "
                "skipped.</p>"
            )
    return "".join(parts) or "<p>The logs have no warnings and no errors.</p>"


def size_text(size: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError(size)


def _why(best: str) -> str:
    return f"best: {best}" if best else ""


def _last(panel: Panel, number: int) -> str:
    values = [one.values for run, one in panel.curves if run == number]
    return f"{values[0][-1]:.5g}" if values else ABSENT


def _best(panel: Panel, number: int) -> str:
    found = [best_of(panel.name, one) for run, one in panel.curves if run == number]
    if not found or found[0] is None:
        return ABSENT
    value, step = found[0]
    return f"{value:.5g} ({panel.unit} {step:g})"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _folded(text: str) -> str:
    if len(text) <= 200:
        return escape(text)
    return f"<details><summary>{escape(text[:80])} …</summary>{escape(text)}</details>"
