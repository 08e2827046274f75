"""``engine convert``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from engine_runner.cli._options import complete_file, require_checkpoint
from engine_utils import expand_home

if TYPE_CHECKING:
    from engine_runner.checkpoint import Converted

_EXAMPLES = """
\b
Examples:
  engine convert work_dirs/run/epoch_3.dcp epoch_3.pth
  engine convert epoch_3.pth epoch_3.dcp
  engine convert epoch_3.pth weights.safetensors
  engine convert epoch_3.pth theirs.pth --to mmengine
"""

trust = click.option(
    "--trust",
    "trusted",
    is_flag=True,
    help="Run the code in the checkpoint that its objects of other classes need, and keep them. "
    "Only for a file of a source that you trust.",
)


@click.command(no_args_is_help=True, epilog=_EXAMPLES)
@click.argument("source", metavar="SRC", shell_complete=complete_file)
@click.argument("target", metavar="DST", shell_complete=complete_file)
@click.option("--force", is_flag=True, help="Replace DST if it exists.")
@click.option(
    "--to",
    "layout",
    type=click.Choice(["engine", "mmengine"]),
    default="engine",
    show_default=True,
    help="mmengine: a file that a run of mmengine resumes, and that names its HistoryBuffer. "
    "engine: tensors and plain values alone, also of a SRC that mmengine saved.",
)
@trust
def convert(
    source: str, target: str, force: bool, layout: Literal["engine", "mmengine"], trusted: bool
) -> None:
    """Convert the checkpoint SRC to the format of DST, by its ending.

    ….pth is one file, ….dcp a folder of shards, and both have all of the checkpoint, so a run
    resumes from either. ….safetensors has the weights and their metadata. SRC may be an address. It
    is compared with its manifest if it has one, and DST gets one.
    """
    from engine_fileio import exists
    from engine_model.weights import is_sharded_path
    from engine_runner.checkpoint import convert_checkpoint, require_ending

    source, target = expand_home(source), expand_home(target)
    require_checkpoint(source)
    try:
        require_ending(target, layout)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if target.rstrip("/") == source.rstrip("/"):
        raise click.UsageError(f"DST must be another path than SRC, got {target} twice")
    if not force and exists(target):
        raise click.UsageError(f"{target} exists; --force replaces it")
    if "://" not in target and is_sharded_path(target) and Path(target).is_file():
        raise click.UsageError(f"{target} is a file, and cannot become a folder; remove it")
    report(convert_checkpoint(source, target, trusted=trusted, layout=layout))


def report(done: "Converted") -> None:
    """Print what was written."""
    click.echo(f"wrote {done.path}")
    click.echo(f"  {'keys:':<12}{', '.join(done.kept)}")
    if done.dropped:
        click.echo(f"  {'left out:':<12}{', '.join(done.dropped)}")
    click.echo(f"  {'weights:':<12}{_weights(done.facts)}")
    resumes = "yes" if done.facts["resumable"] else "no: it has weights alone"
    click.echo(f"  {'resumable:':<12}{resumes}")


def _weights(facts: Mapping[str, Any]) -> str:
    return f"{facts['tensors']} tensors, {facts['elements']:,} elements"
