"""Config files that inherit and merge, with the file and line of every value."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine_config._config import Config
from engine_config._dict import ConfigDict
from engine_config._errors import (
    ConfigError,
    ConfigExecutionError,
    ConfigFileNotFoundError,
    ConfigFormatError,
    ConfigImportError,
    ConfigKeyError,
    ConfigParseError,
    ConfigReadError,
    ConfigTypeError,
)
from engine_config._lazy import LazyAttr, LazyObject, read_base
from engine_config.merge import parse_overrides

if TYPE_CHECKING:
    from engine_config.check import ConfigCheckError, Problem, Resolver
    from engine_config.merge._dict_action import DictAction
    from engine_config.origin._origin import Origin

__all__ = [
    "Config",
    "ConfigCheckError",
    "ConfigDict",
    "ConfigError",
    "ConfigExecutionError",
    "ConfigFileNotFoundError",
    "ConfigFormatError",
    "ConfigImportError",
    "ConfigKeyError",
    "ConfigParseError",
    "ConfigReadError",
    "ConfigTypeError",
    "DictAction",
    "LazyAttr",
    "LazyObject",
    "Origin",
    "Problem",
    "Resolver",
    "parse_overrides",
    "read_base",
]

# Imported at the first use: argparse and dataclasses take half as long to import as this package,
# and not every program needs them.
_LAZY = {
    "ConfigCheckError": "check",
    "DictAction": "merge._dict_action",
    "Origin": "origin._origin",
    "Problem": "check",
    "Resolver": "check",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
