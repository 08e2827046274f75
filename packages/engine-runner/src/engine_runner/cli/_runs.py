"""Find the records of runs, and name the runs by what differs in their configs."""

import ast
from collections.abc import Sequence
from pathlib import Path

import click

_RECORDS = "vis_data/scalars.json"
_SHOWN = 4  # differences per run
_WIDTH = 30  # characters of a value


def records_of(run: str) -> Path:
    """Return the file of scalars of a run.

    Args:
        run: A work directory, the folder of one start in it, or the file itself.

    Raises:
        click.UsageError: There is none.
    """
    path = Path(run)
    if path.is_file():
        return path
    if not path.is_dir():
        raise click.UsageError(f"WORK_DIR must be a folder or a file of scalars, got {run}")
    for place in (path / "scalars.json", path / _RECORDS):
        if place.is_file():
            return place
    # A resumed training continues the records of an earlier start, and a test has its own.
    starts = sorted(path.glob(f"*/{_RECORDS}"), key=_age, reverse=True)
    if not starts:
        below = sorted({str(file.parents[2]) for file in path.glob(f"*/*/{_RECORDS}")})
        hint = f"; name one of {', '.join(below)}" if below else ""
        raise click.UsageError(f"{run} has no run: */{_RECORDS} is missing{hint}")
    return next(filter(_has_training, starts), starts[0])


def _age(file: Path) -> tuple[float, str]:
    return file.stat().st_mtime, str(file)


def _has_training(file: Path) -> bool:
    with file.open(encoding="utf-8", errors="replace") as stream:
        return any('"iter":' in line for line in stream)


def names_of(runs: Sequence[str], records: Sequence[Path]) -> list[str]:
    """Return a name per run: its folder, and the values in which its config differs."""
    # Imported here: it needs the reader of configs, which `--help` does not.
    from engine_runner.report import differences, read_config

    configs = [read_config(file.parent) for file in records]
    for file, config in zip(records, configs, strict=True):
        if config.text and config.problem:
            click.echo(f"{file.parent} is left out of the legend: {config.problem}", err=True)
    known = [config for config in configs if config.values]
    differing = [key for key, _ in differences(known)]
    # First what all configs have: the entries of a hook that one run has would take all the room.
    differing.sort(key=lambda key: (any(key not in config.values for config in known), key))
    short = _shortest(differing)
    names = []
    for folder, config in zip(_shortest_folders(runs), configs, strict=True):
        found = [key for key in differing if key in config.values]
        values = [f"{short[key]}={_shown(config.values[key])}" for key in found]
        if len(values) > _SHOWN:
            values[_SHOWN:] = [f"{len(values) - _SHOWN} more"]
        names.append(f"{folder}: {', '.join(values)}" if values else folder)
    return names


def _shown(text: str) -> str:
    """Return the text of a value for a legend: short, and a string without its quotes."""
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        text = str(ast.literal_eval(text))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _shortest(paths: Sequence[str]) -> dict[str, str]:
    """Return the shortest end of each path that no other path has."""
    ends = {}
    for path in paths:
        parts = path.split(".")
        others = [f".{other}" for other in paths if other != path]
        candidates = (".".join(parts[-size:]) for size in range(1, len(parts)))
        ends[path] = next(
            (end for end in candidates if not any(o.endswith(f".{end}") for o in others)), path
        )
    return ends


def _shortest_folders(runs: Sequence[str]) -> list[str]:
    """Return the last parts of the paths, as many as make them differ."""
    parts = [Path(run).absolute().parts for run in runs]
    for size in range(1, max(map(len, parts)) + 1):
        names = ["/".join(path[-size:]) for path in parts]
        if len(set(names)) == len(names):
            return names
    raise click.UsageError("WORK_DIR must be different runs, got one of them twice")
