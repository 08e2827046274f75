"""Write a merged config as Python, JSON or YAML."""

from engine_config.write._diff import text_diff
from engine_config.write._dump import dump
from engine_config.write._text import python_text

__all__ = ["dump", "python_text", "text_diff"]
