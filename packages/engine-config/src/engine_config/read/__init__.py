"""Read the text of one config file: Python, JSON or YAML, and the `{{…}}` in it.

The parsers are imported from their modules when the first file is read: Python's own and PyYAML
take as long to import as this package.
"""

from engine_config.read._custom_imports import import_listed_modules
from engine_config.read._values import parse_value

__all__ = ["import_listed_modules", "parse_value"]
