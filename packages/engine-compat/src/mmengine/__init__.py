"""The documented modules and names of `mmengine`, each from the package of Engine that has it."""

import sys
from typing import Final

from mmengine._finder import install
from mmengine._installed import warn_of_others

__version__: Final = "0.10.7"
"""The version of the documented interfaces, which code compares; that of Engine is another."""

version_info: Final = (0, 10, 7)

install(sys.modules[__name__])
warn_of_others()
