"""``engine plot``."""

import re
from collections.abc import Sequence
from typing import Literal

import click

from engine_runner.cli._options import complete_file
from engine_runner.cli._runs import names_of, records_of
from engine_utils import expand_home

_EXAMPLES = """
\b
Examples:
  engine plot work_dirs/config
  engine plot work_dirs/config --out loss.svg --keys 'loss*' --smooth 0.9 --log-y
  engine plot work_dirs/small work_dirs/large --out compared.png --x time
"""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)[x,](\d+(?:\.\d+)?)")


def _size(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """Read width and height in inches."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value)
    if match is None or not (float(match[1]) and float(match[2])):
        raise click.BadParameter(f"must be width x height in inches, such as 12x8, got {value!r}")
    return float(match[1]), float(match[2])


@click.command(no_args_is_help=True, epilog=_EXAMPLES)
@click.argument(
    "work_dirs", metavar="WORK_DIR...", nargs=-1, required=True, shell_complete=complete_file
)
@click.option(
    "--out",
    metavar="PICTURE",
    default="curves.png",
    show_default=True,
    help="The picture, ending in .png or .svg.",
)
@click.option(
    "--keys", multiple=True, metavar="KEYS", help="Names or patterns, such as 'loss*,accuracy'."
)
@click.option("--smooth", type=click.FloatRange(0, 1, max_open=True), help="Weight of the mean.")
@click.option(
    "--x",
    type=click.Choice(["iter", "epoch", "time"]),
    default="iter",
    show_default=True,
    help="The horizontal axis; the time is without validations.",
)
@click.option("--log-y", is_flag=True, help="Use logarithmic vertical axes.")
@click.option("--title", default="", help="The title of the picture.")
@click.option(
    "--size", metavar="WxH", callback=_size, help="Width and height in inches, such as 12x8."
)
@click.option(
    "--dpi",
    type=click.IntRange(20, 1200),
    default=150,
    show_default=True,
    help="Pixels per inch of a PNG.",
)
def plot(
    work_dirs: tuple[str, ...],
    out: str,
    keys: tuple[str, ...],
    smooth: float | None,
    x: Literal["iter", "epoch", "time"],
    log_y: bool,
    title: str,
    size: tuple[float, float] | None,
    dpi: int,
) -> None:
    """Plot the curves of one or several runs.

    The picture has losses, metrics, learning rates, throughput and memory. WORK_DIR is the folder
    of a run, whose last training is plotted, the folder of one start in it, or a scalars.json.
    Several runs share a picture, and its legend has the values in which their configs differ.
    """
    out = expand_home(out)
    if not out.lower().endswith((".png", ".svg")):
        raise click.UsageError(f"--out must end in .png or .svg, got {out}")
    runs = [expand_home(run) for run in work_dirs]
    records = [records_of(run) for run in runs]
    names = names_of(runs, records)
    from engine_visualization.plots import plot_runs  # it takes a moment to import

    try:
        plot_runs(
            dict(zip(names, records, strict=True)), out, keys=_split(keys), x=x, smoothing=smooth,
            log_y=log_y, title=title, size=size, dpi=dpi,
        )  # fmt: skip
    except (ImportError, ValueError, OSError) as error:
        if isinstance(error, ImportError) and "pip install" not in str(error):
            raise
        raise click.ClickException(str(error)) from error
    for file in records:
        click.echo(f"read {file}")
    click.echo(f"wrote {out}")


def _split(keys: Sequence[str]) -> list[str]:
    return [key for text in keys for key in text.replace(",", " ").split()]
