"""Merge what several sources say: a file into its bases, and options into a config.

`_inheritance` is imported from its module when the first file is read, since it brings the parsers
along; `_dict_action` and `_argparser` bring `argparse`.
"""

from engine_config.merge._merge import Merging
from engine_config.merge._overrides import expand, merge_options, parse_overrides

__all__ = ["Merging", "expand", "merge_options", "parse_overrides"]
