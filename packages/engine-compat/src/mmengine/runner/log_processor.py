"""Written by scripts/compat_stubs.py."""

import sys

from mmengine._finder import take_over

take_over(sys.modules[__name__])
