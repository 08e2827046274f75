"""Merge configs: a file into its bases, and options into a config.

`_inheritance`, `_dict_action` and `_argparser` are imported at first use: the first imports the
parsers, the others `argparse`.
"""

from engine_config.merge._given import given_values
from engine_config.merge._merge import Merging
from engine_config.merge._overrides import merge_given, parse_overrides

__all__ = ["Merging", "given_values", "merge_given", "parse_overrides"]
