"""``engine hooks``."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine_runner.cli._check import check_before
from engine_runner.cli._options import ConfigCommand, config_arguments, read_config

if TYPE_CHECKING:
    from engine_config import Config
    from engine_runner._hook_list import HookList, HookPlace

_EXAMPLES = """
\b
Examples:
  engine hooks config.py
  engine hooks config.py --json
  engine hooks config.py --cfg-options default_hooks.checkpoint.priority=LOW
"""

_REGISTER = ("register_hook", "register_hooks", "register_default_hooks", "register_custom_hooks")


@click.command(cls=ConfigCommand, epilog=_EXAMPLES)
@config_arguments
@click.option("--json", "as_json", is_flag=True, help="Print data.")
def hooks(config_file: Path, cfg_options: tuple[str, ...], as_json: bool) -> None:
    """Show the hooks of each point, in their order in a run of CONFIG.

    The hooks are built; the model and the data are not, and no folder is created.
    """
    from engine_registry import DefaultScope

    config = read_config(config_file, cfg_options)
    check_before(config, keys=("default_hooks", "custom_hooks"))
    _warn_of_own_hooks(config)
    with DefaultScope.overwrite_default_scope(config.get("default_scope", "engine")):
        points = _hook_list(config).points()
    if as_json:
        data = {point: [place._asdict() for place in places] for point, places in points.items()}
        click.echo(json.dumps(data, indent=2))
    else:
        click.echo(_table(points))


def _hook_list(config: "Config") -> "HookList":
    """Return the hooks that a runner of the config registers."""
    from engine_runner._hook_list import HookList
    from engine_runner.parts import build_hook, default_hooks

    found = HookList()
    custom: Any = config.get("custom_hooks") or []
    # Lazily: each hook is added before the next one is named.
    defaults = found.named(default_hooks(config.get("default_hooks")))
    for hook in chain(defaults, [custom] if isinstance(custom, Mapping) else custom):
        found.add(*build_hook(hook))
    return found


def _warn_of_own_hooks(config: "Config") -> None:
    """Warn if the runner of the config chooses hooks itself: only a run shows those."""
    from engine_registry import RUNNERS
    from engine_runner import Runner

    kind = config.get("runner_type", Runner)
    runner: Any = RUNNERS.get(kind) if isinstance(kind, str) else kind
    own = [name for name in _REGISTER if getattr(runner, name, None) is not getattr(Runner, name)]
    if own:
        click.echo(
            f"{runner.__name__} has {', '.join(own)} of its own; the hooks that it adds or leaves "
            "out are in the log of a run",
            err=True,
        )


def _table(points: "Mapping[str, Sequence[HookPlace]]") -> str:
    width = max((len(place.type) for places in points.values() for place in places), default=0)
    blocks = []
    for point, places in points.items():
        rows = [
            f"  {place.priority:>3}  {place.level:<12}  {place.type:<{width}}  {place.name}"
            for place in places
        ]
        blocks.append("\n".join([point, *rows]))
    return "\n\n".join(blocks)
