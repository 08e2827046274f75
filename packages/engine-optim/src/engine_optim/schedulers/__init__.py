"""Schedule the learning rate, the momentum or any other hyper-parameter of an optimizer."""

from engine_optim.schedulers._base import INF, Schedulable, _ParamScheduler
from engine_optim.schedulers._constant import ConstantLR, ConstantMomentum, ConstantParamScheduler
from engine_optim.schedulers._cosine import (
    CosineAnnealingLR,
    CosineAnnealingMomentum,
    CosineAnnealingParamScheduler,
)
from engine_optim.schedulers._cosine_restart import (
    CosineRestartLR,
    CosineRestartMomentum,
    CosineRestartParamScheduler,
)
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin
from engine_optim.schedulers._exponential import (
    ExponentialLR,
    ExponentialMomentum,
    ExponentialParamScheduler,
)
from engine_optim.schedulers._linear import LinearLR, LinearMomentum, LinearParamScheduler
from engine_optim.schedulers._multi_step import (
    MultiStepLR,
    MultiStepMomentum,
    MultiStepParamScheduler,
)
from engine_optim.schedulers._one_cycle import OneCycleLR, OneCycleParamScheduler
from engine_optim.schedulers._plateau import (
    ReduceOnPlateauLR,
    ReduceOnPlateauMomentum,
    ReduceOnPlateauParamScheduler,
)
from engine_optim.schedulers._poly import PolyLR, PolyMomentum, PolyParamScheduler
from engine_optim.schedulers._resume import resume_schedules
from engine_optim.schedulers._step import StepLR, StepMomentum, StepParamScheduler

__all__ = [
    "INF",
    "ConstantLR",
    "ConstantMomentum",
    "ConstantParamScheduler",
    "CosineAnnealingLR",
    "CosineAnnealingMomentum",
    "CosineAnnealingParamScheduler",
    "CosineRestartLR",
    "CosineRestartMomentum",
    "CosineRestartParamScheduler",
    "ExponentialLR",
    "ExponentialMomentum",
    "ExponentialParamScheduler",
    "LRSchedulerMixin",
    "LinearLR",
    "LinearMomentum",
    "LinearParamScheduler",
    "MomentumSchedulerMixin",
    "MultiStepLR",
    "MultiStepMomentum",
    "MultiStepParamScheduler",
    "OneCycleLR",
    "OneCycleParamScheduler",
    "PolyLR",
    "PolyMomentum",
    "PolyParamScheduler",
    "ReduceOnPlateauLR",
    "ReduceOnPlateauMomentum",
    "ReduceOnPlateauParamScheduler",
    "Schedulable",
    "StepLR",
    "StepMomentum",
    "StepParamScheduler",
    "_ParamScheduler",
    "resume_schedules",
]
