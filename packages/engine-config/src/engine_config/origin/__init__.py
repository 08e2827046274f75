"""Where each value came from: lines of keys, their marks on a config, and the `Origin` of a key.

`_origin` and `_follow` are imported from their modules when they are first used, since the standard
library's modules they need take longer to import than this package.
"""

from engine_config.origin._attach import Attacher
from engine_config.origin._find import find_origin, walk, walk_origins
from engine_config.origin._lines import Lines

__all__ = ["Attacher", "Lines", "find_origin", "walk", "walk_origins"]
