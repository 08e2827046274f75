"""What a training leaves behind, and where."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner.hooks import CheckpointHook, FiniteLossHook
from engine_visualization.plots import plot_curves

if TYPE_CHECKING:
    from engine_runner.runner import Runner


def final_report(runner: "Runner") -> None:
    """Draw the curves, and print where log, checkpoint and picture lie."""
    log_dir = Path(runner.log_dir)
    rows: list[tuple[str, str | Path]] = [("log", log_dir / f"{runner.timestamp}.log")]
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    best = next((item for item in hook.best if item.path), None) if hook else None
    score = "" if best is None else f"; the best score is {best.score:.4f}"
    click.echo(f"\nTraining finished{score}.")
    if best is not None:
        rows.append(("best checkpoint", str(best.path)))
    elif hook is not None and hook.retention.names:
        folder = hook.checkpoint_folder(runner)
        rows.append(("last checkpoint", folder.join(hook.retention.names[-1])))
    for name, text in _bad_losses(runner):
        click.echo(f"  {name + ':':<17}{text}")
    for name, path in [*rows, *_curves(runner)]:
        click.echo(f"  {name + ':':<17}{_relative(path)}")


def _bad_losses(runner: "Runner") -> list[tuple[str, str]]:
    """Return what was done about bad losses."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, FiniteLossHook)]
    return [row for hook in hooks for row in hook.summary]


def _curves(runner: "Runner") -> list[tuple[str, Path]]:
    """Draw the whole run: a resumed one has continued the records of its earlier attempts."""
    folders = getattr(runner.visualizer, "save_dirs", [])  # a visualizer of the user's has none
    found = [folder / "scalars.json" for folder in folders]
    scalars = next((path for path in found if path.is_file()), None)
    if scalars is None:
        return []
    picture = Path(runner.log_dir) / "curves.png"
    try:
        plot_curves(scalars, picture)
    except (ImportError, ValueError) as error:  # matplotlib is missing, or nothing was logged
        click.echo(f"No curves were drawn: {error}", err=True)
        return []
    return [("curves", picture)]


def _relative(path: str | Path) -> str | Path:
    """Return a path below the working folder as a relative one; any other, and a URI, as it is."""
    try:
        return Path(path).relative_to(Path.cwd())
    except ValueError:
        return path
