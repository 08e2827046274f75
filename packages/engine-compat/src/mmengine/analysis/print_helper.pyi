"""Written by scripts/compat_stubs.py."""

from engine_model.analysis import get_model_complexity_info, parameter_count_table
from mmengine._only_here import _format_size

__all__ = ["_format_size", "get_model_complexity_info", "parameter_count_table"]
