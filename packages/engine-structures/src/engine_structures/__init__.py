"""Typed containers for the annotations and predictions of a sample."""

from engine_structures._element import BaseDataElement
from engine_structures._errors import FieldTypeError, FieldValueError
from engine_structures._instances import InstanceData
from engine_structures._labels import LabelData
from engine_structures._pixels import PixelData

__all__ = [
    "BaseDataElement",
    "FieldTypeError",
    "FieldValueError",
    "InstanceData",
    "LabelData",
    "PixelData",
]
