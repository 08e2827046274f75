"""``engine train --dry-run``."""

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine_config import Config


def run_dry(config: "Config") -> None:
    """Try a config with two batches per stage, and print a line per stage.

    An error is that of the stage after the last line.

    Args:
        config: The merged config, which is checked already.
    """
    from engine_runner import dry_run

    is_main = os.environ.get("RANK", "0") == "0"  # there is no process group yet
    if is_main:
        click.echo("dry run: two batches per stage, in a temporary folder")
    stages = dry_run(config, report=lambda stage: click.echo(f"  {stage}"))
    if is_main and not stages:
        click.echo("  the config has no training, validation or test")
    if is_main:
        click.echo("dry run: all stages passed")
