"""Draw samples, record scalars and plot the curves of a run."""

from engine_visualization._visualizer import Visualizer
from engine_visualization.backends import (
    BaseVisBackend,
    LocalVisBackend,
    TensorboardVisBackend,
    WandbVisBackend,
)
from engine_visualization.plots import plot_curves

__all__ = [
    "BaseVisBackend",
    "LocalVisBackend",
    "TensorboardVisBackend",
    "Visualizer",
    "WandbVisBackend",
    "plot_curves",
]
