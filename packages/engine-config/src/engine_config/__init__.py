"""Configuration files that inherit, merge, and say where each value came from."""

from engine_config._check import Problem, Resolver
from engine_config._config import Config
from engine_config._dict import ConfigDict
from engine_config._errors import (
    ConfigCheckError,
    ConfigError,
    ConfigExecutionError,
    ConfigFileNotFoundError,
    ConfigFormatError,
    ConfigKeyError,
    ConfigParseError,
    ConfigReadError,
    ConfigTypeError,
)
from engine_config._lazy import LazyObject, read_base
from engine_config._origin import Origin
from engine_config._overrides import DictAction, parse_overrides

__all__ = [
    "Config",
    "ConfigCheckError",
    "ConfigDict",
    "ConfigError",
    "ConfigExecutionError",
    "ConfigFileNotFoundError",
    "ConfigFormatError",
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
