"""File handlers, one per format, and the table that finds them by suffix."""

from engine_fileio.handlers._base import BaseFileHandler
from engine_fileio.handlers._json import JsonHandler
from engine_fileio.handlers._pickle import PickleHandler
from engine_fileio.handlers._table import register_handler
from engine_fileio.handlers._yaml import YamlHandler

__all__ = [
    "BaseFileHandler",
    "JsonHandler",
    "PickleHandler",
    "YamlHandler",
    "register_handler",
]
