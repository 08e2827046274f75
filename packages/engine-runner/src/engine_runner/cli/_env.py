"""``engine env``."""

import click

_EXAMPLES = """
\b
Examples:
  engine env
  engine env > environment.txt
"""


@click.command(epilog=_EXAMPLES)
def env() -> None:
    """Print the environment report: system, libraries, devices."""
    from engine_utils.dl_utils import collect_env

    for name, value in collect_env().items():
        click.echo(f"{name}: {value}")
