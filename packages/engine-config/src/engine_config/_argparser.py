"""A command line made from a config: one option for every key."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine_config._dict import ConfigDict
from engine_config._marks import join
from engine_config._values import parse_value

if TYPE_CHECKING:
    from engine_config._config import Config


def config_parser(description: str | None) -> tuple[argparse.ArgumentParser, Config]:
    """Read the config that the command line names, and return a parser with its keys as options."""
    from engine_config._config import Config  # the two need each other

    first = argparse.ArgumentParser(description=description, add_help=False)
    first.add_argument("config", help="config file path")
    config = Config.fromfile(first.parse_known_args()[0].config)
    # Without abbreviations, which would let `--model.dept` pass for `--model.depth`.
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("config", help="config file path")
    _add(parser, config._cfg_dict, "")
    return parser, config


def _add(parser: argparse.ArgumentParser, values: ConfigDict, path: str) -> None:
    for key, value in dict.items(values):
        here = join(path, key)
        if isinstance(value, ConfigDict):
            _add(parser, value, here)
        elif isinstance(value, bool):
            parser.add_argument(f"--{here}", action=argparse.BooleanOptionalAction, default=value)
        else:
            help_text = str(value).replace("%", "%%")
            parser.add_argument(f"--{here}", type=_reader(value), default=value, help=help_text)


def _reader(value: Any) -> Callable[[str], Any]:
    kind = type(value)
    return kind if kind in (int, float, str) else parse_value
