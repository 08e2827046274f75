"""``engine report``."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner.cli._options import PATH

if TYPE_CHECKING:
    from engine_runner.report import RunFolder, Written

_EXAMPLES = """
\b
Examples:
  engine report work_dirs/config
  engine report work_dirs --metric accuracy --out report.html
  engine report work_dirs/config --watch 10
"""
_WATCH, _DEFAULT = "--watch", 5.0  # seconds
_SLOW = 2.0  # seconds until the progress is shown


class _ReportCommand(click.Command):
    """A command whose ``--watch`` takes a number or nothing, so that a folder may follow it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add the default where a number does not follow the flag."""
        followed = zip(args, [*args[1:], ""], strict=False)  # the list may be empty
        given = [
            f"{a}={_DEFAULT:g}" if a == _WATCH and not _is_number(b) else a for a, b in followed
        ]
        return super().parse_args(ctx, given)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Progress:
    """A line about a file that takes long to read, on a terminal only."""

    def __init__(self) -> None:
        self._start, self._shown = time.monotonic(), False

    def __call__(self, name: str, fraction: float) -> None:
        if time.monotonic() - self._start > _SLOW and sys.stderr.isatty():
            self._shown = True
            click.echo(f"\r  reading {name}: {fraction:4.0%}", err=True, nl=False)

    def end(self) -> None:
        """End the line, if there is one."""
        if self._shown:
            click.echo("", err=True)


@click.command(cls=_ReportCommand, no_args_is_help=True, epilog=_EXAMPLES)
@click.argument("work_dirs", nargs=-1, required=True, type=PATH, metavar="WORK_DIR...")
@click.option(
    "--out", type=PATH, metavar="FILE", help="The page; else report.html in the first WORK_DIR."
)
@click.option("--metric", metavar="NAME", help="Sort the runs by their best value of this metric.")
@click.option(
    _WATCH,
    type=click.FloatRange(min=0.2),
    metavar="[SECONDS]",
    help="Write the page again after as many seconds, by default 5, until the training ends.",
)
def report(
    work_dirs: tuple[Path, ...], out: Path | None, metric: str | None, watch: float | None
) -> None:
    """Write a page about the runs in WORK_DIR: one file of HTML, which needs no network.

    It has curves, the difference of the configs, the environment, sample predictions, checkpoints
    and the warnings of the log. A folder above several runs compares them.
    """
    from engine_runner.report import find_runs

    target = work_dirs[0] / "report.html" if out is None else out
    if target.is_dir():
        raise click.UsageError(f"--out must be a file, got the folder {target}; add a name to it")
    try:
        folders = find_runs(work_dirs)
        done = _write(folders, target, metric, watch)
        while watch is not None and done.is_running:
            time.sleep(watch)
            done = _write(find_runs(work_dirs), target, metric, watch)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        if watch is None or not target.exists():
            raise
        click.echo("stopped watching")
        # The open page would reload itself forever.
        done = _write(find_runs(work_dirs), target, metric, None)
    noun = "run" if done.runs == 1 else "runs"
    click.echo(f"{target}: {done.runs} {noun}, {done.size / 1e6:.2f} MB")


def _write(
    folders: "Sequence[RunFolder]", target: Path, metric: str | None, watch: float | None
) -> "Written":
    from engine_runner.report import write_report

    progress = _Progress()
    try:
        return write_report(folders, target, metric=metric, refresh=watch, progress=progress)
    finally:
        progress.end()
