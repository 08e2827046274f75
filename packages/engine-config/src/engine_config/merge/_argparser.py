"""Build a command line from a config: one option per key."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from engine_config._dict import ConfigDict
from engine_config._keys import join
from engine_config.read import parse_value


def named_config(description: str | None) -> str:
    """Return the path of the config that the command line names."""
    parser = argparse.ArgumentParser(description=description, add_help=False)
    parser.add_argument("config", help="config file path")
    path: str = parser.parse_known_args()[0].config
    return path


def options_parser(values: ConfigDict, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with one option per key of a config."""
    # Without abbreviations: they would accept `--model.dept` as `--model.depth`.
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("config", help="config file path")
    _add(parser, values, "")
    return parser


def _add(parser: argparse.ArgumentParser, values: ConfigDict, path: str) -> None:
    for key, value in dict.items(values):
        here = join(path, key)
        if isinstance(value, ConfigDict):
            _add(parser, value, here)
        elif isinstance(value, bool):
            help_text = f"by default {value}"
            parser.add_argument(
                f"--{here}", action=argparse.BooleanOptionalAction, default=None, help=help_text
            )
        else:
            help_text = str(value).replace("%", "%%")  # argparse fills in % when it prints help
            parser.add_argument(f"--{here}", type=_reader(value), default=None, help=help_text)


def _reader(value: Any) -> Callable[[str], Any]:
    kind = type(value)
    return kind if kind in (int, float, str) else parse_value
