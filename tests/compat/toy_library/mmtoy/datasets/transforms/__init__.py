from .base import BaseTransform
from .formatting import PackToyInputs
from .loading import LoadToyImage
from .processing import ToyRandomFlip, ToyTestTimeAug

__all__ = ["BaseTransform", "LoadToyImage", "PackToyInputs", "ToyRandomFlip", "ToyTestTimeAug"]
