"""The documented modules and names of `mmengine`, each from the package of Engine that has it."""

import sys

from mmengine._finder import take_over
from mmengine._installed import warn_of_others

__version__ = "0.10.7"
"""The version of the documented interfaces, which code compares; that of Engine is another."""

version_info = (0, 10, 7)

take_over(sys.modules[__name__])
warn_of_others()
