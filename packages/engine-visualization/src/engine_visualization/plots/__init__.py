"""Plot the scalars of a run, and the losses at rising learning rates."""

from engine_visualization.plots._curves import plot_curves
from engine_visualization.plots._learning_rates import plot_learning_rates
from engine_visualization.plots._scalars import Curve, RunScalars, read_scalars

__all__ = ["Curve", "RunScalars", "plot_curves", "plot_learning_rates", "read_scalars"]
