from .count_samples_hook import CountSamplesHook
from .freeze_hook import FreezeBackboneHook
from .visualization_hook import ToyVisualizationHook

__all__ = ["CountSamplesHook", "FreezeBackboneHook", "ToyVisualizationHook"]
