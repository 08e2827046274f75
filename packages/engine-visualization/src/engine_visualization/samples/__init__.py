"""Draw what data samples hold; what is not drawn is logged."""

from engine_visualization.samples._draw import draw_sample
from engine_visualization.samples._notices import Notices
from engine_visualization.samples._options import SampleOptions, options_from

__all__ = ["Notices", "SampleOptions", "draw_sample", "options_from"]
