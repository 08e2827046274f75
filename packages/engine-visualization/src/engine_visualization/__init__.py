"""Draw samples, record scalars and plot the curves of a run."""

from typing import TYPE_CHECKING, Any

from engine_visualization._visualizer import Visualizer
from engine_visualization.backends import BaseVisBackend
from engine_visualization.backends._registry import class_named as _class_named
from engine_visualization.backends._registry import class_names as _class_names
from engine_visualization.plots import plot_curves
from engine_visualization.samples import SampleOptions

if TYPE_CHECKING:
    from engine_visualization.backends._table import *  # noqa: F403  # static names of the rows

__all__ = ["BaseVisBackend", "SampleOptions", "Visualizer", "plot_curves"]
__all__ += _class_names()
__all__.sort()


def __getattr__(name: str) -> Any:
    return _class_named(name, __name__)
