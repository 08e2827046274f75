"""Plot the scalars of a run."""

from engine_visualization.plots._curves import plot_curves
from engine_visualization.plots._scalars import Curve, RunScalars, read_scalars

__all__ = ["Curve", "RunScalars", "plot_curves", "read_scalars"]
