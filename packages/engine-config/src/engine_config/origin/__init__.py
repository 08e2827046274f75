"""Find the origin of each value: lines of keys, their marks on a config, and the `Origin` of a key.

`_origin` and `_follow` are imported at first use: they need modules of the standard library that
are slower to import than this package.
"""

from engine_config.origin._attach import Attacher
from engine_config.origin._find import find_origin, walk, walk_origins
from engine_config.origin._lines import Lines

__all__ = ["Attacher", "Lines", "find_origin", "walk", "walk_origins"]
