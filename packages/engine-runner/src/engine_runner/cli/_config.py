"""``engine config``."""

from pathlib import Path

import click

from engine_runner.cli._options import ConfigCommand, config_arguments, read_config


@click.command(cls=ConfigCommand)
@config_arguments
@click.option("--origins", is_flag=True, help="Show file and line of each value's assignment.")
def config(config_file: Path, cfg_options: tuple[str, ...], origins: bool) -> None:
    """Print the merged config."""
    merged = read_config(config_file, cfg_options)
    if not origins:
        click.echo(merged.pretty_text.rstrip())
        return
    rows = [(key, _value(merged, key), origin) for key, origin in merged.origins().items()]
    width = min(60, max((len(f"{key} = {value}") for key, value, _ in rows), default=0))
    for key, value, origin in rows:
        click.echo(f"{f'{key} = {value}':<{width}}  # {origin.file}:{origin.line}")


def _value(merged: object, key_path: str) -> str:
    value = merged
    for part in key_path.split("."):
        value = value[int(part)] if isinstance(value, list | tuple) else value[part]  # type: ignore[index]  # a path of origins leads through mappings and sequences
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
