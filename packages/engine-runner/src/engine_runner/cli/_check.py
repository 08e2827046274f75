"""``engine check``."""

from pathlib import Path

import click

from engine_runner.cli._options import ConfigCommand, config_arguments, read_config


@click.command(cls=ConfigCommand)
@config_arguments
@click.pass_context
def check(context: click.Context, config_file: Path, cfg_options: tuple[str, ...]) -> None:
    """Report every mistake of CONFIG at once, without building anything."""
    config = read_config(config_file, cfg_options)
    from engine_runner import Runner
    from engine_runner._supplied import runner_resolver, runner_root
    from engine_runner.cli._errors import without_details

    problems = config.check(runner_resolver(), root=runner_root(Runner))
    for problem in problems:
        click.echo(without_details(str(problem)), err=True)
    if problems:
        click.echo(f"{len(problems)} problem{'s' * (len(problems) > 1)} found", err=True)
        context.exit(1)
    click.echo(f"{config_file}: no problems found")
