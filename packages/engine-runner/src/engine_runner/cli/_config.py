"""``engine config``."""

from pathlib import Path

import click

from engine_runner.cli._options import ConfigCommand, config_arguments, read_config

_EXAMPLES = """
\b
Examples:
  engine config config.py
  engine config config.py --origins
  engine config config.py --cfg-options train_cfg.max_epochs=5
"""


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.option("--secrets", is_flag=True, help="Show passwords, keys and tokens, too.")
@click.option("--origins", is_flag=True, help="Show file and line of each value's assignment.")
def config(config_file: Path, cfg_options: tuple[str, ...], origins: bool, secrets: bool) -> None:
    """Print the merged config; each secret, such as a token, is shown as ***."""
    from engine_runner.environment import shown_config

    merged = read_config(config_file, cfg_options)
    shown = merged if secrets else shown_config(merged)
    if not origins:
        click.echo(shown.pretty_text.rstrip())
        return
    found = merged.origins()
    parents = {key.rpartition(".")[0] for key in found}
    rows = [(key, f"{key} = {_value(shown, key)}") for key in found if key not in parents]
    width = min(80, max((len(text) for _, text in rows), default=0))
    for key, text in rows:
        click.echo(f"{text:<{width}}  # {found[key]}")


def _value(merged: object, key_path: str) -> str:
    value = merged
    for part in key_path.split("."):
        value = value[int(part)] if isinstance(value, list | tuple) else value[part]  # type: ignore[index]  # a path of origins leads through mappings and sequences
    text = " ".join(repr(value).split())  # a tensor has several lines
    return text if len(text) <= 60 else f"{text[:57]}..."
