"""Written by scripts/compat_stubs.py."""

from engine_config import Config, ConfigDict, DictAction, read_base
from mmengine.config import config as config
from mmengine.config import lazy as lazy
from mmengine.config import utils as utils

__all__ = ["Config", "ConfigDict", "DictAction", "read_base"]
