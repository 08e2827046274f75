"""Written by scripts/compat_stubs.py."""

from engine_structures import BaseDataElement, InstanceData, LabelData, PixelData
from mmengine.structures import base_data_element as base_data_element
from mmengine.structures import instance_data as instance_data
from mmengine.structures import label_data as label_data
from mmengine.structures import pixel_data as pixel_data

__all__ = ["BaseDataElement", "InstanceData", "LabelData", "PixelData"]
