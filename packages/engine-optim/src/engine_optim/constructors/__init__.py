"""Build optimizer wrappers from configs, with options for each parameter."""

from engine_optim.constructors._build import build_optim_wrapper
from engine_optim.constructors._custom import freeze_parameters
from engine_optim.constructors._default import DefaultOptimWrapperConstructor
from engine_optim.constructors._groups import (
    ParamOptions,
    ParamTable,
    merge_equal_groups,
    param_table,
)

__all__ = [
    "DefaultOptimWrapperConstructor",
    "ParamOptions",
    "ParamTable",
    "build_optim_wrapper",
    "freeze_parameters",
    "merge_equal_groups",
    "param_table",
]
