"""``engine resume-check``."""

import os
from pathlib import Path

import click

from engine_runner.cli._check import check_before
from engine_runner.cli._folder import default_work_dir, set_default_work_dir
from engine_runner.cli._options import ConfigCommand, config_arguments, read_config
from engine_utils import expand_home

_EXAMPLES = """
\b
Examples:
  engine resume-check config.py
  engine resume-check config.py --iters 20 --at 3 --at 11
"""


@click.command("resume-check", cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.option(
    "--iters",
    type=click.IntRange(min=2),
    default=8,
    show_default=True,
    help="The iterations of each run.",
)
@click.option(
    "--at",
    type=click.IntRange(min=1),
    multiple=True,
    help="Interrupt after this iteration; may be given several times. The middle by default.",
)
@click.pass_context
def resume_check(
    context: click.Context,
    config_file: Path,
    cfg_options: tuple[str, ...],
    iters: int,
    at: tuple[int, ...],
) -> None:
    """Check that a run of CONFIG resumes exactly.

    A few iterations are trained twice without an interruption, and once interrupted and resumed,
    each in a process and a temporary folder of its own. Every bit of the batches, losses, weights,
    optimizers and random states is compared. The exit code is 1 if they differ.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise click.UsageError("resume-check starts its processes itself; run it without torchrun")
    for place in at:
        if place >= iters:
            raise click.UsageError(f"--at must be below --iters={iters}, got {place}")
    config = read_config(config_file, cfg_options)
    set_default_work_dir(config, default_work_dir(config_file))
    check_before(config)
    if config.get("train_cfg") is None:
        raise click.UsageError(f"{config_file} has no train_cfg, so there is nothing to resume")
    from engine_runner.resume_check import resume_check as check

    result = check(
        expand_home(config_file),
        cfg_options,
        iters=iters,
        at=at,
        report=lambda line: click.echo(f"  {line}"),
    )
    for line, cause in zip(result.found, result.causes, strict=True):
        click.echo(f"{line}\n  probable cause: {cause}", err=True)
    for note in result.notes:
        click.echo(f"note: {note}; nothing else differs so far")
    if not result.exact:
        context.exit(1)
    places = ", ".join(map(str, result.at))
    click.echo(f"{config_file}: resumes exactly after iteration {places}")
