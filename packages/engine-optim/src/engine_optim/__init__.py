"""Optimizer wrappers, constructors and schedulers of any hyper-parameter."""

import importlib
from typing import TYPE_CHECKING, Any

from engine_optim._optimizers import TORCH_OPTIMIZERS
from engine_optim.constructors import (
    DefaultOptimWrapperConstructor,
    ParamOptions,
    ParamTable,
    build_optim_wrapper,
    freeze_parameters,
    merge_equal_groups,
    param_table,
)
from engine_optim.schedulers import (
    INF,
    ConstantLR,
    ConstantMomentum,
    ConstantParamScheduler,
    CosineAnnealingLR,
    CosineAnnealingMomentum,
    CosineAnnealingParamScheduler,
    CosineRestartLR,
    CosineRestartMomentum,
    CosineRestartParamScheduler,
    ExponentialLR,
    ExponentialMomentum,
    ExponentialParamScheduler,
    LinearLR,
    LinearMomentum,
    LinearParamScheduler,
    LRSchedulerMixin,
    MomentumSchedulerMixin,
    MultiStepLR,
    MultiStepMomentum,
    MultiStepParamScheduler,
    OneCycleLR,
    OneCycleParamScheduler,
    PolyLR,
    PolyMomentum,
    PolyParamScheduler,
    ReduceOnPlateauLR,
    ReduceOnPlateauMomentum,
    ReduceOnPlateauParamScheduler,
    Schedulable,
    StepLR,
    StepMomentum,
    StepParamScheduler,
    _ParamScheduler,
    resume_schedules,
)
from engine_optim.wrappers import (
    AmpOptimWrapper,
    ApexOptimWrapper,
    BaseOptimWrapper,
    LossJumps,
    OptimWrapper,
    OptimWrapperDict,
    StepGuard,
    step_of,
)
from engine_registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS

if TYPE_CHECKING:
    from engine_optim._zero import ZeroRedundancyOptimizer as ZeroRedundancyOptimizer

__all__ = [
    "INF",
    "OPTIMIZERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "TORCH_OPTIMIZERS",
    "AmpOptimWrapper",
    "ApexOptimWrapper",
    "BaseOptimWrapper",
    "ConstantLR",
    "ConstantMomentum",
    "ConstantParamScheduler",
    "CosineAnnealingLR",
    "CosineAnnealingMomentum",
    "CosineAnnealingParamScheduler",
    "CosineRestartLR",
    "CosineRestartMomentum",
    "CosineRestartParamScheduler",
    "DefaultOptimWrapperConstructor",
    "ExponentialLR",
    "ExponentialMomentum",
    "ExponentialParamScheduler",
    "LRSchedulerMixin",
    "LinearLR",
    "LinearMomentum",
    "LinearParamScheduler",
    "LossJumps",
    "MomentumSchedulerMixin",
    "MultiStepLR",
    "MultiStepMomentum",
    "MultiStepParamScheduler",
    "OneCycleLR",
    "OneCycleParamScheduler",
    "OptimWrapper",
    "OptimWrapperDict",
    "ParamOptions",
    "ParamTable",
    "PolyLR",
    "PolyMomentum",
    "PolyParamScheduler",
    "ReduceOnPlateauLR",
    "ReduceOnPlateauMomentum",
    "ReduceOnPlateauParamScheduler",
    "Schedulable",
    "StepGuard",
    "StepLR",
    "StepMomentum",
    "StepParamScheduler",
    "ZeroRedundancyOptimizer",
    "_ParamScheduler",
    "build_optim_wrapper",
    "freeze_parameters",
    "merge_equal_groups",
    "param_table",
    "resume_schedules",
    "step_of",
]


def __getattr__(name: str) -> Any:
    if name == "ZeroRedundancyOptimizer":  # torch takes a second to import its own
        return importlib.import_module("engine_optim._zero").ZeroRedundancyOptimizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
