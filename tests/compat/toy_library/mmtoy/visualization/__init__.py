from .local_visualizer import ToyVisualizer

__all__ = ["ToyVisualizer"]
