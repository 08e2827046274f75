from .backbones import ToyNet
from .classifiers import ToyClassifier
from .data_preprocessor import ToyDataPreprocessor
from .heads import ToyHead
from .losses import ToyCrossEntropyLoss
from .necks import GlobalPool
from .tta import AverageScoreTTA

__all__ = [
    "AverageScoreTTA",
    "GlobalPool",
    "ToyClassifier",
    "ToyCrossEntropyLoss",
    "ToyDataPreprocessor",
    "ToyHead",
    "ToyNet",
]
