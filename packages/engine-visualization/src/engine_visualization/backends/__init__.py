"""Where a run's numbers, images and config are written: one class for each place."""

from engine_visualization.backends._base import BaseVisBackend, ConfigLike
from engine_visualization.backends._local import LocalVisBackend
from engine_visualization.backends._tensorboard import TensorboardVisBackend
from engine_visualization.backends._wandb import WandbVisBackend

__all__ = [
    "BaseVisBackend",
    "ConfigLike",
    "LocalVisBackend",
    "TensorboardVisBackend",
    "WandbVisBackend",
]
