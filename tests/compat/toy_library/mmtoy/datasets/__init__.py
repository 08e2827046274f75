from .samplers import BalancedSampler
from .shapes import ShapesDataset
from .transforms import *  # noqa: F401,F403

__all__ = ["BalancedSampler", "ShapesDataset"]
