import torch.nn as nn
from mmengine.model import BaseModule

from mmtoy.registry import MODELS


@MODELS.register_module()
class GlobalPool(BaseModule):
    """Average the features over the picture."""

    def __init__(self, init_cfg=None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.gap = nn.AdaptiveAvgPool2d((1, 1))

    def forward(self, inputs):
        """Forward function. Takes and returns a tuple, of features (N, C)."""
        assert isinstance(inputs, tuple)
        return tuple(self.gap(x).view(x.size(0), -1) for x in inputs)
