"""Plot the scalars of runs, and the losses at rising learning rates."""

from engine_visualization.plots._comparison import plot_runs
from engine_visualization.plots._curves import plot_curves
from engine_visualization.plots._learning_rates import plot_learning_rates
from engine_visualization.plots._runs import RunSeries, Series, read_run
from engine_visualization.plots._scalars import Curve, RunScalars, read_scalars

__all__ = [
    "Curve",
    "RunScalars",
    "RunSeries",
    "Series",
    "plot_curves",
    "plot_learning_rates",
    "plot_runs",
    "read_run",
    "read_scalars",
]
