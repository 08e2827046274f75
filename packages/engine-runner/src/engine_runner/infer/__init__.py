"""Apply trained models to pictures, arrays and other inputs."""

from engine_runner._types import ConfigType
from engine_runner.infer._base import BaseInferencer
from engine_runner.infer._inferencer import Inferencer, Prediction
from engine_runner.infer._inputs import list_inputs
from engine_runner.infer._meta import InferencerMeta
from engine_runner.infer._types import (
    ImgType,
    InputsType,
    InputType,
    ModelType,
    ResType,
)

__all__ = [
    "BaseInferencer",
    "ConfigType",
    "ImgType",
    "Inferencer",
    "InferencerMeta",
    "InputType",
    "InputsType",
    "ModelType",
    "Prediction",
    "ResType",
    "list_inputs",
]
