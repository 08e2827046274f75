"""``engine list``."""

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

import engine_registry
from engine_registry import Registry
from engine_runner.cli._options import PATH, read_config
from engine_runner.cli._signature import shown_parameters, summary
from engine_utils import did_you_mean

_EXAMPLES = """
\b
Examples:
  engine list
  engine list hooks
  engine list hooks EMA
  engine list models --config config.py
  engine list schedulers --json
"""

_SHORT = {
    "param_schedulers": "schedulers",
    "evaluator": "evaluators",
    "visbackends": "vis_backends",
}


def kinds() -> dict[str, Registry]:
    """Return the root registries by the plural of what they hold."""
    found: dict[Registry, str] = {}
    for name in engine_registry.__all__:
        registry = getattr(engine_registry, name)
        if isinstance(registry, Registry):  # of two names of one, the later is the plural
            found[registry] = _SHORT.get(name.lower(), name.lower())
    return {kind: registry for registry, kind in found.items()}


def _complete_kind(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    return [kind for kind in kinds() if kind.startswith(text)]


@click.command(name="list", epilog=_EXAMPLES)
@click.argument("kind", required=False, shell_complete=_complete_kind)
@click.argument("text", required=False)
@click.option(
    "--config",
    "config_file",
    type=PATH,
    metavar="CONFIG",
    help="Import the custom_imports of this config first, so that its names are listed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print data.")
def list_names(kind: str | None, text: str | None, config_file: Path | None, as_json: bool) -> None:
    """List the names that a config can use, with arguments and a line of explanation.

    KIND is hooks, models, datasets, metrics, optimizers, schedulers, loops …; without it the kinds
    are counted. TEXT selects the names that contain it.
    """
    chosen = None if kind is None else _kind_named(kind)
    if config_file is not None:
        read_config(config_file, ())
    failed = engine_registry.count_registered_modules(verbose=False)["not_imported"]
    for module, error in failed.items():
        click.echo(f"not listed: {module}, which cannot be imported: {error}", err=True)
    if chosen is None:
        counts = {name: len(dict(_members(registry))) for name, registry in kinds().items()}
        click.echo(json.dumps(counts, indent=2) if as_json else _count_table(counts))
        return
    found = _selected(chosen, text or "")
    rows = [_row(name, item) for name, item in sorted(found.items())]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join(map(_as_text, rows)))


def _kind_named(name: str) -> str:
    """Return the kind of a name: its own, or that of its registry.

    Raises:
        click.UsageError: There is no such kind.
    """
    known = kinds()
    names = {**{registry.name: kind for kind, registry in known.items()}, **_SHORT}
    if name in known:
        return name
    if name not in names:
        hint = did_you_mean(name, [*known, *names])
        raise click.UsageError(f"KIND must be one of {', '.join(known)}, got {name!r}{hint}")
    return names[name]


def _selected(kind: str, text: str) -> dict[str, Any]:
    """Return what is registered for a kind, and has a text in its name.

    Raises:
        click.ClickException: No name has the text.
    """
    members = dict(_members(kinds()[kind]))
    found = {name: item for name, item in members.items() if text.lower() in name.lower()}
    if text and not found:
        hint = did_you_mean(text, members)
        raise click.ClickException(f"none of the {len(members)} {kind} has {text!r} in it{hint}")
    return found


def _members(registry: Registry) -> Iterator[tuple[str, Any]]:
    """Yield the names of a registry, and those below it with their scope in front."""
    yield from registry.module_dict.items()
    for child in registry.children.values():
        yield from ((f"{child.scope}.{name}", item) for name, item in _members(child))


def _row(name: str, item: Any) -> dict[str, Any]:
    return {
        "name": name,
        "parameters": shown_parameters(item),
        "summary": summary(item),
        "module": getattr(item, "__module__", None),
    }


def _as_text(row: Mapping[str, Any]) -> str:
    parts = [
        name if default is None else f"{name}={default}"
        for name, default in row["parameters"].items()
    ]
    lines = textwrap.wrap(
        f"{row['name']}({', '.join(parts)})",
        width=min(shutil.get_terminal_size().columns, 100),
        subsequent_indent="        ",
        break_long_words=False,
    )
    return "\n".join([*lines, f"    {row['summary']}"] if row["summary"] else lines)


def _count_table(counts: Mapping[str, int]) -> str:
    width = max(map(len, counts))
    rows = [f"{kind:<{width}}  {count:>4}" for kind, count in counts.items()]
    return "\n".join([*rows, "", "engine list KIND shows the names of one."])
