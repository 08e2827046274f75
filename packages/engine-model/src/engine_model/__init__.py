"""Base model, preprocessors, wrappers, weight initialisation, averaging and weight files."""

from engine_model._anomalous import detect_anomalous_params
from engine_model._batch import stack_batch
from engine_model._model import BaseModel, OptimizerWrapper
from engine_model._module import BaseModule, ModuleDict, ModuleList, Sequential
from engine_model._norm import convert_sync_batchnorm, revert_sync_batchnorm
from engine_model._preprocess import BaseDataPreprocessor, ImgDataPreprocessor
from engine_model._trace import merge_dict
from engine_model._tta import BaseTTAModel
from engine_model.averaging import (
    BaseAveragedModel,
    ExponentialMovingAverage,
    InterpolatedAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from engine_model.init import (
    BaseInit,
    Caffe2XavierInit,
    ConstantInit,
    KaimingInit,
    NormalInit,
    TruncNormalInit,
    UniformInit,
    XavierInit,
    bias_init_with_prob,
    caffe2_xavier_init,
    constant_init,
    initialize,
    kaiming_init,
    normal_init,
    trunc_normal_init,
    uniform_init,
    update_init_info,
    xavier_init,
)
from engine_model.wrappers import (
    FSDP_WRAP_POLICIES,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
    is_model_wrapper,
)

__all__ = [
    "FSDP_WRAP_POLICIES",
    "BaseAveragedModel",
    "BaseDataPreprocessor",
    "BaseInit",
    "BaseModel",
    "BaseModule",
    "BaseTTAModel",
    "Caffe2XavierInit",
    "ConstantInit",
    "ExponentialMovingAverage",
    "ImgDataPreprocessor",
    "InterpolatedAverage",
    "KaimingInit",
    "MMDistributedDataParallel",
    "MMFullyShardedDataParallel",
    "MMSeparateDistributedDataParallel",
    "ModuleDict",
    "ModuleList",
    "MomentumAnnealingEMA",
    "NormalInit",
    "OptimizerWrapper",
    "Sequential",
    "StochasticWeightAverage",
    "TruncNormalInit",
    "UniformInit",
    "XavierInit",
    "bias_init_with_prob",
    "caffe2_xavier_init",
    "constant_init",
    "convert_sync_batchnorm",
    "detect_anomalous_params",
    "initialize",
    "is_model_wrapper",
    "kaiming_init",
    "merge_dict",
    "normal_init",
    "revert_sync_batchnorm",
    "stack_batch",
    "trunc_normal_init",
    "uniform_init",
    "update_init_info",
    "xavier_init",
]
