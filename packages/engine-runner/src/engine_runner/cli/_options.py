"""Options that several commands share, and the documented form of ``--cfg-options``."""

import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from engine_config import Config

Function = TypeVar("Function", bound=Callable[..., Any])

_FLAG = "--cfg-options"


class ConfigCommand(click.Command):
    """A command that takes ``--cfg-options a=1 b.c=2``: any number of pairs after one flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the flag before each pair, as click wants it."""
        expanded: list[str] = []
        taking = False
        for argument in args:
            follows_flag = expanded[-1:] == [_FLAG]
            if taking and not follows_flag and "=" in argument and not argument.startswith("-"):
                expanded.append(_FLAG)
            elif not follows_flag:
                taking = argument == _FLAG
            expanded.append(argument)
        return super().parse_args(ctx, expanded)


def config_arguments(function: Function) -> Function:
    """Add the config file and ``--cfg-options`` to a command."""
    options = click.option(
        _FLAG,
        "cfg_options",
        multiple=True,
        metavar="KEY=VALUE ...",
        help="Change values of the config: a.b=1 a.c=[1,2] list.0.lr=0.1 …",
    )
    path = click.argument("config_file", metavar="CONFIG", type=click.Path(path_type=Path))
    return path(options(function))


def read_config(config_file: Path, cfg_options: tuple[str, ...]) -> "Config":
    """Return the merged config with the command line's changes.

    Raises:
        click.UsageError: The file does not exist, or a pair is malformed.
    """
    from engine_config import Config, ConfigError, parse_overrides

    if not config_file.is_file():
        raise click.UsageError(f"no such config file: {config_file}{_similar_file(config_file)}")
    try:
        overrides = parse_overrides(cfg_options)
    except ConfigError as error:
        raise click.UsageError(f"{_FLAG}: {error}") from error
    _import_from(config_file.parent, Path.cwd())
    config = Config.fromfile(str(config_file))
    if overrides:
        config.merge_from_dict(overrides, origin=_FLAG)
    return config


def _import_from(*folders: Path) -> None:
    """Let ``custom_imports`` find modules beside the config and in the current folder.

    They come last: a file of the user's named like a library hides nothing.
    """
    for folder in map(str, map(Path.absolute, folders)):
        if folder not in sys.path:
            sys.path.append(folder)


def _similar_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder {path.parent})"
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""
