"""Written by scripts/compat_stubs.py."""

from engine_model import BaseDataPreprocessor, BaseModel, ImgDataPreprocessor
from mmengine.model.base_model import base_model as base_model
from mmengine.model.base_model import data_preprocessor as data_preprocessor

__all__ = ["BaseDataPreprocessor", "BaseModel", "ImgDataPreprocessor"]
