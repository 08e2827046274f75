"""Write a merged config as Python, JSON or YAML."""

from engine_config.write._dump import format_of, text_as
from engine_config.write._text import python_text

__all__ = ["format_of", "python_text", "text_as"]
