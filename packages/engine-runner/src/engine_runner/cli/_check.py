"""``engine check``."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine_runner.cli._folder import default_work_dir, set_default_work_dir
from engine_runner.cli._options import ConfigCommand, config_arguments, read_config

if TYPE_CHECKING:
    from engine_config import Config, Problem


_EXAMPLES = """
\b
Examples:
  engine check config.py
  engine check config.py --cfg-options model.depth=50
"""


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.pass_context
def check(context: click.Context, config_file: Path, cfg_options: tuple[str, ...]) -> None:
    """Report every mistake of CONFIG at once, without building anything."""
    config = read_config(config_file, cfg_options)
    # ``engine train`` names a folder after the config, so a config needs none to be right.
    set_default_work_dir(config, default_work_dir(config_file))
    problems = find_problems(config)
    for problem in problems:
        click.echo(as_text(problem), err=True)
    if problems:
        click.echo(f"{len(problems)} problem{'s' * (len(problems) > 1)} found", err=True)
        context.exit(1)
    click.echo(f"{config_file}: no problems found")


def find_problems(config: "Config", *, trains: bool = True) -> "list[Problem]":
    """Return every mistake of a config for its runner, which trains or only tests."""
    from engine_registry import RUNNERS
    from engine_runner import Runner
    from engine_runner.parts import check_config

    kind = config.get("runner_type")
    runner = RUNNERS.get(kind) if isinstance(kind, str) else kind
    return check_config(config, runner or Runner, trains=trains)


def check_before(config: "Config", *, trains: bool = True, keys: Collection[str] = ()) -> None:
    """Raise the mistakes of a config, before anything of it is built.

    Args:
        config: The merged config.
        trains: Whether its runner trains, or only tests.
        keys: The keys of the top level whose mistakes count; all by default.

    Raises:
        ConfigCheckError: There are problems.
    """
    from engine_config import ConfigCheckError

    problems = [
        problem
        for problem in find_problems(config, trains=trains)
        if not keys or problem.key_path.partition(".")[0].partition("[")[0] in keys
    ]
    if problems:
        raise ConfigCheckError(problems)


def as_text(problem: "Problem") -> str:
    """Return a problem without the lines about how a name was looked up."""
    from engine_runner.cli._errors import without_details

    return without_details(str(problem))
