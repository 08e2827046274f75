import torch.nn as nn
from mmengine.model import BaseModule
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm

from mmtoy.registry import MODELS


@MODELS.register_module()
class ToyNet(BaseModule):
    """Stages of a convolution, a normalization and an activation.

    Args:
        in_channels (int): Channels of the pictures. Defaults to 1.
        channels (tuple[int]): Channels of each stage. Defaults to (4, 8).
        frozen_stages (int): The stages to freeze; none by default, which is -1.
        norm_eval (bool): Whether the normalizations stay in evaluation mode.
        init_cfg (dict or list[dict], optional): Initialization config dict.
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels=(4, 8),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg=[
            dict(type="Kaiming", layer=["Conv2d"]),
            dict(type="Constant", val=1, layer=["_BatchNorm", "GroupNorm"]),
        ],
    ) -> None:
        super().__init__(init_cfg)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.stages = nn.ModuleList()
        for out_channels in channels:
            self.stages.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
                    nn.BatchNorm2d(out_channels),
                    nn.ReLU(inplace=True),
                )
            )
            in_channels = out_channels
        self._freeze_stages()

    def _freeze_stages(self) -> None:
        for stage in self.stages[: max(self.frozen_stages, 0)]:
            stage.eval()
            for param in stage.parameters():
                param.requires_grad = False

    def forward(self, x):
        """Forward function. Returns a tuple of the features of the last stage."""
        for stage in self.stages:
            x = stage(x)
        return (x,)

    def train(self, mode: bool = True):
        """Convert the model into training mode while keep normalization layers frozen."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for m in self.modules():
                if isinstance(m, _BatchNorm):
                    m.eval()
        return self
