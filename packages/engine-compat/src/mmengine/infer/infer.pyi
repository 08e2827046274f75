"""Written by scripts/compat_stubs.py."""

from engine_runner import ConfigType
from engine_runner.infer import (
    BaseInferencer,
    ImgType,
    InferencerMeta,
    InputType,
    InputsType,
    ModelType,
    ResType,
)

__all__ = [
    "BaseInferencer",
    "ConfigType",
    "ImgType",
    "InferencerMeta",
    "InputType",
    "InputsType",
    "ModelType",
    "ResType",
]
