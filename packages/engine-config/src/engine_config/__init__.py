"""Configuration files that inherit, merge, and say where each value came from."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine_config._config import Config
from engine_config._dict import ConfigDict
from engine_config._errors import (
    ConfigCheckError,
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
from engine_config._lazy import LazyObject, read_base
from engine_config._overrides import parse_overrides

if TYPE_CHECKING:
    from engine_config._check import Problem, Resolver
    from engine_config._dict_action import DictAction
    from engine_config._origin import Origin

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
    "LazyObject",
    "Origin",
    "Problem",
    "Resolver",
    "parse_overrides",
    "read_base",
]

# What not every program needs, and what is slow to import.
_LAZY = {
    "DictAction": "_dict_action",
    "Origin": "_origin",
    "Problem": "_check",
    "Resolver": "_check",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
