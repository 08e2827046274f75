"""Written by scripts/compat_stubs.py."""

from engine_model.analysis import (
    ActivationAnalyzer,
    FlopAnalyzer,
    activation_count,
    flop_count,
    get_model_complexity_info,
    parameter_count,
    parameter_count_table,
)
from mmengine.analysis import complexity_analysis as complexity_analysis
from mmengine.analysis import jit_analysis as jit_analysis
from mmengine.analysis import jit_handles as jit_handles
from mmengine.analysis import print_helper as print_helper

__all__ = [
    "ActivationAnalyzer",
    "FlopAnalyzer",
    "activation_count",
    "flop_count",
    "get_model_complexity_info",
    "parameter_count",
    "parameter_count_table",
]
