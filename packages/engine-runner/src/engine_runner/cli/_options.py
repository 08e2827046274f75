"""Options that several commands share, and the documented form of ``--cfg-options``."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from engine_utils import closest_name, expand_home

if TYPE_CHECKING:
    from engine_config import Config

Function = TypeVar("Function", bound=Callable[..., Any])

CFG_OPTIONS = "--cfg-options"

CONFIG = "engine_runner.config"
"""The key of the config in the ``meta`` of the commands' context."""

_RESUME = "--resume"
_CONFIG_ENDINGS = (".py", ".json", ".yaml", ".yml")


class HomePath(click.Path):
    """A path on the command line; a leading ``~``, as in ``--out=~/runs``, is the home folder."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return the path."""
        return super().convert(expand_home(value), param, ctx)


PATH = HomePath(path_type=Path)
"""The type of an argument that names a file or folder; shells complete it."""


class ConfigCommand(click.Command):
    """A command that takes ``--cfg-options a=1 b.c=2``: any number of pairs after one flag.

    Without arguments it prints its help. It also takes ``--resume config.py``, where the argument
    is the config, not a checkpoint.
    """

    def __init__(self, name: str | None, **attributes: Any) -> None:
        super().__init__(name, **{"no_args_is_help": True, **attributes})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the flag before each pair: an option of click takes a fixed number of values."""
        expanded: list[str] = []
        taking = False
        for argument in args:
            follows_flag = expanded[-1:] == [CFG_OPTIONS]
            if taking and not follows_flag and "=" in argument and not argument.startswith("-"):
                expanded.append(CFG_OPTIONS)
            elif not follows_flag:
                taking = argument == CFG_OPTIONS
            expanded.append(argument)
        return super().parse_args(ctx, _without_config_after_resume(expanded))


def _without_config_after_resume(args: list[str]) -> list[str]:
    followed = zip(args, [*args[1:], ""], strict=False)  # without arguments the second has one
    return [
        f"{_RESUME}=auto" if argument == _RESUME and after.endswith(_CONFIG_ENDINGS) else argument
        for argument, after in followed
    ]


def complete_file(
    context: click.Context, parameter: click.Parameter, text: str
) -> list[CompletionItem]:
    """Let the shell complete a text, which may also be an address, to files."""
    return [CompletionItem(text, type="file")]


def config_arguments(function: Function) -> Function:
    """Add the config file and ``--cfg-options`` to a command."""
    options = click.option(
        CFG_OPTIONS,
        "cfg_options",
        multiple=True,
        metavar="KEY=VALUE ...",
        help="Change values of the config: a.b=1 a.c=[1,2] list.0.lr=0.1 …",
    )
    path = click.argument("config_file", metavar="CONFIG", type=PATH)
    return path(options(function))


def read_config(config_file: Path, cfg_options: tuple[str, ...]) -> "Config":
    """Return the merged config with the command line's changes.

    Raises:
        click.UsageError: The file does not exist, or a pair is malformed.
    """
    from engine_config import Config, ConfigError, parse_overrides

    if config_file.is_dir():
        raise click.UsageError(f"{config_file} is a folder; name the config file in it")
    if not config_file.is_file():
        raise click.UsageError(f"no such config file: {config_file}{_similar_file(config_file)}")
    try:
        overrides = parse_overrides(cfg_options)
    except ConfigError as error:
        raise click.UsageError(f"{CFG_OPTIONS}: {error}") from error
    _import_from(config_file.parent, Path.cwd())
    config = Config.fromfile(str(config_file))
    click.get_current_context().find_root().meta[CONFIG] = config  # for the place of an error
    if overrides:
        _check_spelling(overrides, config)
        config.merge_from_dict(overrides, origin=CFG_OPTIONS)
    # Reading the file has imported only the modules that the file names.
    if any(key.partition(".")[0] == "custom_imports" for key in overrides):
        config.import_custom_modules()
    return config


def _check_spelling(overrides: Mapping[str, object], config: "Config") -> None:
    """Raise for an override whose first key is misspelled: it would change nothing.

    Any likeness counts here, unlike in a file: a key on the command line is seldom a new one.
    """
    from engine_runner._settings import TABLE

    known = sorted({*config, *TABLE})
    for name in (key.partition(".")[0] for key in overrides):
        meant = None if name in known else closest_name(name, known)
        if meant:
            raise click.UsageError(
                f"{CFG_OPTIONS}: the config has no {name!r}; did you mean {meant!r}?"
            )


def _import_from(*folders: Path) -> None:
    """Let ``custom_imports`` find modules beside the config and in the current folder.

    They come last in the path, so that a user's file with the name of a library hides nothing.
    """
    for folder in map(str, map(Path.absolute, folders)):
        if folder not in sys.path:
            sys.path.append(folder)


def _similar_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder {path.parent})"
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    meant = closest_name(path.name, names)
    return f"; did you mean {path.with_name(meant)}?" if meant else ""


def require_checkpoint(path: str) -> None:
    """Raise for a local checkpoint that does not exist.

    Raises:
        click.UsageError: There is no such file or folder, or it is a folder of something else.
    """
    if "://" in path:
        return
    found = Path(path)
    if not found.exists():
        raise click.UsageError(f"no such checkpoint: {path}")
    if found.is_dir() and not path.rstrip("/").endswith(".dcp"):
        raise click.UsageError(f"{path} is a folder; name a checkpoint in it")
