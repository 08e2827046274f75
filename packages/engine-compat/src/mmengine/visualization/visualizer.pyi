"""Written by scripts/compat_stubs.py."""

from engine_visualization import Visualizer

__all__ = ["Visualizer"]
