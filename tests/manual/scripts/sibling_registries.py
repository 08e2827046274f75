"""Build modules of a parent and of a sibling registry (manual, 3225)."""

import torch
from torch import Tensor, nn

from engine_registry import MODELS as ENGINE_MODELS
from engine_registry import Registry, count_registered_modules

ALPHA = Registry("model", parent=ENGINE_MODELS, scope="mmalpha")
BETA = Registry("model", parent=ENGINE_MODELS, scope="mmbeta")


@ENGINE_MODELS.register_module()
class RReLU2(nn.Module):
    """A module of the root registry."""

    def __init__(self, lower: float = 0.125, upper: float = 0.333, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        print("call RReLU2.forward")
        return x


@ALPHA.register_module()
class LogSoftmax(nn.Module):
    """A module of one project."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        print("call LogSoftmax.forward")
        return x


inputs = torch.randn(2)
ALPHA.build(cfg={"type": "LogSoftmax"})(inputs)
ALPHA.build(cfg={"type": "RReLU2", "lower": 0.2})(inputs)
ALPHA.build(cfg={"type": "engine.RReLU2"})(inputs)
BETA.build(cfg={"type": "mmalpha.LogSoftmax"})(inputs)
BETA.build(cfg={"type": "LogSoftmax", "_scope_": "mmalpha"})(inputs)
count_registered_modules()
