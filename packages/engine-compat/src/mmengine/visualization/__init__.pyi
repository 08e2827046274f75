"""Written by scripts/compat_stubs.py."""

from engine_visualization import (
    AimVisBackend,
    BaseVisBackend,
    ClearMLVisBackend,
    DVCLiveVisBackend,
    LocalVisBackend,
    MLflowVisBackend,
    NeptuneVisBackend,
    TensorboardVisBackend,
    Visualizer,
    WandbVisBackend,
)
from mmengine.visualization import utils as utils
from mmengine.visualization import vis_backend as vis_backend
from mmengine.visualization import visualizer as visualizer

__all__ = [
    "AimVisBackend",
    "BaseVisBackend",
    "ClearMLVisBackend",
    "DVCLiveVisBackend",
    "LocalVisBackend",
    "MLflowVisBackend",
    "NeptuneVisBackend",
    "TensorboardVisBackend",
    "Visualizer",
    "WandbVisBackend",
]
