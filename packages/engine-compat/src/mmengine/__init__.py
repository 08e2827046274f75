"""The documented modules and names of `mmengine`, each from the package of Engine that has it."""

import sys
from typing import Final

from mmengine._finder import Finder, Forwarder

__version__: Final = "0.10.7"
"""The version of the documented interfaces, which code compares; that of Engine is another."""

version_info: Final = (0, 10, 7)

sys.meta_path.insert(0, Finder())
sys.modules[__name__].__class__ = Forwarder
